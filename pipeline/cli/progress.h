/*
 * progress.h - events of the engine as lines on stderr.
 */
#ifndef PIPELINE_CLI_PROGRESS_H
#define PIPELINE_CLI_PROGRESS_H

#include "base/event.h"

/* Follows events until progress_stop(). Colour on a terminal, unless NO_COLOR is set. */
void progress_start(struct event_sink *sink);
void progress_stop(struct event_sink *sink);

#endif
