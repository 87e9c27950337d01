/*
 * build_log.h - the log of a build: what its commands print, and between it the runner's own lines,
 *               each on a line of its own and masked like everything else.
 */
#ifndef BUILDSPEC_BUILD_LOG_H
#define BUILDSPEC_BUILD_LOG_H

#include "base/masker.h"

struct build_log {
	void (*take)(void *self, struct str piece);
	void *self;
	struct masker masker; /* owned; the commands' output goes through it, too */
	bool inside_line;     /* the last piece did not end a line */
};

/* Passes on a piece that is masked already. For shell_options.take. */
void build_log_output(void *log, struct str piece);
/* One line "[build] …"; further lines of the text are indented under it. */
void build_log_line(struct build_log *log, const char *format, ...) printf_like(2, 3);
/* text without secrets; owned */
char *build_log_mask(struct build_log *log, const char *text) must_use;
void build_log_free(struct build_log *log);

#endif
