/*
 * build_log.h - the log of a build: what its commands print, and between it the runner's own lines,
 *               each on a line of its own and masked like everything else. A command that never stops
 *               printing fills no disk: only so much of the output is kept.
 *
 * All that the commands of a build print is one stream to the masker: a secret is found when one command
 * prints its beginning and a later one its end. While what was printed last may be such a beginning, the
 * runner's lines wait with it.
 */
#ifndef BUILDSPEC_BUILD_LOG_H
#define BUILDSPEC_BUILD_LOG_H

#include "base/masker.h"

struct build_log {
	void (*take)(void *self, struct str piece);
	void *self;
	struct masker masker; /* owned; the commands' output goes through it, too */
	struct strings lines; /* owned; the runner's own that wait for output before them */
	size_t lines_passed;  /* how many of them wait no longer */
	int64_t limit_bytes;  /* what commands print beyond is counted and dropped; 0: no limit */
	int64_t taken_bytes;  /* what they printed so far, dropped or not */
	bool inside_line;     /* the last piece did not end a line */
};

/* Passes on a piece of what commands print, masked already, and says where the limit is reached. For
 * shell_options.take. */
void build_log_output(void *log, struct str piece);
/* One line "[build] …"; further lines of the text are indented under it. */
void build_log_line(struct build_log *log, const char *format, ...) printf_like(2, 3);
/* What waits, and the last line, when output was dropped: how much. */
void build_log_end(struct build_log *log);
/* text without secrets; owned */
char *build_log_mask(struct build_log *log, const char *text) must_use;
void build_log_free(struct build_log *log);

#endif
