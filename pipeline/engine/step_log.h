/*
 * step_log.h - where the log of a step lies in the folder of its run, and its end.
 *
 *     <folder>/<service>/<step>.log             what the stage itself said
 *     <folder>/<service>/build/build.log.zst    of a build, what its commands printed (stored_log.h)
 *
 * They are read one after the other: a stage's last words are why it failed.
 */
#ifndef PIPELINE_ENGINE_STEP_LOG_H
#define PIPELINE_ENGINE_STEP_LOG_H

#include "base/buf.h"

/* Owned. */
char *step_log_said(const char *folder, const char *service, const char *step) must_use;
/* Owned; NULL for a step that stores no output. */
char *step_log_output(const char *folder, const char *service, const char *step) must_use;

/* Appends the last bytes of both, at most limit; nothing where they cannot be read. */
void step_log_tail(const char *folder, const char *service, const char *step, size_t limit,
	struct buf *out);

#endif
