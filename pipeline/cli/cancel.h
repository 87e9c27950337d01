/*
 * cancel.h - SIGTERM, SIGINT and SIGHUP as a descriptor that becomes readable, for commands that
 *            have something to clean up before they end (exit status 5).
 */
#ifndef PIPELINE_CLI_CANCEL_H
#define PIPELINE_CLI_CANCEL_H

#include "base/error.h"

/* From now on the signals no longer end this process. Children start without the block. */
bool cancel_watch(int *out_fd, struct error *err) must_use;

#endif
