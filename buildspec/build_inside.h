/*
 * build_inside.h - one build while it runs, for the files that make it up:
 *
 *     build.c          the whole, and what all phases have in common
 *     build_start.c    DOWNLOAD_SOURCE: the file, the variables, the shell, what a cache has kept
 *     build_phases.c   INSTALL to POST_BUILD
 *     build_collect.c  what the build leaves: reports, artifacts, exported variables, the cache
 */
#ifndef BUILDSPEC_BUILD_INSIDE_H
#define BUILDSPEC_BUILD_INSIDE_H

#include "base/memory.h"
#include "buildspec/build.h"
#include "buildspec/build_log.h"
#include "buildspec/cache.h"
#include "buildspec/shell.h"

struct build {
	const struct build_options *options;
	struct arena arena;
	struct buildspec spec;
	struct build_log log;
	struct shell shell;
	struct cache cache;
	struct sandbox_bind
		*binds; /* owned: of secondary sources and the cache, whose texts they borrow */
	struct build_result *result;
	bool succeeding;     /* CODEBUILD_BUILD_SUCCEEDING: no phase has failed so far */
	bool failed;         /* a phase failed in a way that fails the build */
	int64_t phase_start; /* of the phase that is open */
};

struct build_phase *build_enter(struct build *build, const char *name);
void build_leave(struct build *build, struct build_phase *phase);
/* Only the first failure of a phase is the phase's. */
void build_fail(struct build *build, struct build_phase *phase, const char *code, int exit_code,
	const char *format, ...) printf_like(5, 6);
/* One line of ours in the log; self is a struct build_log. */
void build_say(void *self, const char *line);

bool build_start(struct build *build, struct error *err) must_use;
/* out_reached_build: BUILD was entered. */
bool build_run_phases(struct build *build, bool *out_reached_build, struct error *err) must_use;
bool build_collect(struct build *build, bool reached_build, struct error *err) must_use;

/* What the shell makes of a text that may hold $NAME and $(command), masked; owned. Quotes are
 * allowed inside $( ) only. strict: empty when the last command in it failed. */
bool build_evaluate(struct build *build, const char *text, bool strict, char **out_value,
	struct error *err) must_use;

#endif
