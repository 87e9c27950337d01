/*
 * cancel.h - SIGTERM, SIGINT and SIGHUP end a command with exit status 5 and a word about it.
 *
 * As a descriptor that becomes readable (cancel_watch), for commands that have something to clean
 * up; at once (cancel_at_once), for those whose unfinished files have no name yet or whose
 * unfinished uploads nobody can see.
 */
#ifndef PIPELINE_CLI_CANCEL_H
#define PIPELINE_CLI_CANCEL_H

#include "base/error.h"

/* From now on the signals no longer end this process. Children start without the block. */
bool cancel_watch(int *out_fd, struct error *err) must_use;

/* json: the result is asked for as a document, so the end is told as one too. */
void cancel_at_once(bool json);
/* The work is done and about to be told: from now on the signals wait. */
void cancel_too_late(void);

#endif
