/*
 * live_log.h - the log of a build on stderr while it is written.
 *
 * On a terminal phases are headings with the time that they took, and a line at the end of the screen
 * turns and counts while a phase lasts. Elsewhere, and with NO_COLOR or TERM=dumb, it is the log's bytes
 * and nothing else.
 *
 * Threads  one turns the last line. It only writes; signals are blocked in it.
 */
#ifndef PIPELINE_CLI_LIVE_LOG_H
#define PIPELINE_CLI_LIVE_LOG_H

#include "base/buf.h"

/* turns: with the line at the end; false when somebody else writes to the terminal, too. */
void live_log_begin(bool turns);
/* For build_options.log. */
void live_log_take(void *self, struct str piece);
void live_log_end(void);

#endif
