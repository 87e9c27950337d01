/*
 * buildspec.h - what a buildspec.yml says, checked, with the line of everything that is wrong.
 *
 * AWS CodeBuild's format, versions 0.1 and 0.2. Reading never stops at the first mistake: all that
 * is wrong in a file comes out in one go, in the order of the file, as findings.
 *
 *     buildspec_parse -> (findings say "error"? stop) -> build_run (build.h)
 *
 * Ownership  everything lives in the arena given to buildspec_parse().
 * Limits     those of base/yaml.h; 1,000 warnings and 1,000 errors more are kept.
 */
#ifndef BUILDSPEC_BUILDSPEC_H
#define BUILDSPEC_BUILDSPEC_H

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"

enum phase {
	PHASE_INSTALL,
	PHASE_PRE_BUILD,
	PHASE_BUILD,
	PHASE_POST_BUILD,
	PHASE_COUNT,
};

/* "install", as the file has it. */
const char *phase_key(enum phase phase);

enum on_failure {
	ON_FAILURE_DEFAULT,
	ON_FAILURE_ABORT,
	ON_FAILURE_CONTINUE,
	ON_FAILURE_RETRY,
};

/* A list of texts in the arena. */
struct texts {
	const char **items;
	size_t count;
};

struct variable_spec {
	const char *name, *value;
};

struct variables {
	struct variable_spec *items;
	size_t count;
};

struct phase_spec {
	struct texts commands, finally;
	const char *run_as; /* NULL: not said */
	enum on_failure on_failure;
	int retry_count;
	const char *retry_regex; /* NULL: any message */
	bool wants_runtimes;     /* runtime-versions is there */
	struct variables runtimes;
};

struct artifact_spec {
	const char *identifier; /* NULL: the primary one */
	struct texts files, exclude_paths;
	const char *base_directory; /* NULL: the source directory */
	const char *name;           /* NULL: none; else for the shell to evaluate */
	bool discard_paths;
	bool enable_symlinks;  /* of ZIP output; no effect here */
	const char *s3_prefix; /* the same */
};

struct cache_spec {
	struct texts paths;
	const char *key;            /* for the shell to evaluate; NULL: one cache for all builds */
	struct texts fallback_keys; /* at most five, for the shell; none without a key */
	bool restores, saves;
};

/* What a task of a batch may say about where it runs. */
struct batch_env {
	const char *compute_type, *fleet, *image, *type; /* NULL: not said */
	bool privileged;
	struct variables variables;
};

struct batch_task {
	const char *identifier;
	const char *buildspec; /* NULL: this file */
	struct batch_env env;
	struct texts depend_on; /* identifiers; build-graph only */
	bool ignore_failure, debug_session;
};

/* NAME: [value, …] */
struct matrix_axis {
	const char *name;
	struct texts values;
};

struct batch_matrix {
	bool ignore_failure, debug_session;
	struct batch_env env;                           /* of every task; no variables */
	struct texts buildspecs, compute_types, images; /* empty: not said */
	struct matrix_axis *variables;
	size_t variable_count;
};

enum batch_kind {
	BATCH_NONE,
	BATCH_LIST,
	BATCH_GRAPH,
	BATCH_MATRIX,
	BATCH_FANOUT,
};

/* Another buildspec that tasks have, and where that is said. */
struct batch_reference {
	const char *buildspec;
	const char *path; /* "batch.build-list[0].buildspec" */
	int line, column;
};

/* The section that batch builds read; batch.h makes a plan of it. */
struct batch_spec {
	enum batch_kind kind;
	struct batch_reference *references; /* in the order of the file */
	size_t reference_count;
	bool fast_fail;
	struct batch_task *tasks; /* list and graph */
	size_t task_count;
	struct batch_matrix matrix;
	int parallelism;     /* fanout: 1 … */
	bool ignore_failure; /* fanout */
};

struct report_format;

struct report_spec {
	const char *group; /* a name or an ARN; for the shell to evaluate when it has a "$" */
	struct texts files;
	const struct report_format *format; /* report.h */
	const char *base_directory;         /* NULL: the source directory */
	bool discard_paths;
};

struct buildspec {
	int minor;         /* 1: version 0.1, 2: version 0.2 */
	const char *shell; /* "/bin/sh", "/bin/bash", or one of Windows */
	const char *run_as;
	struct variables variables, parameters, secrets;
	struct texts exported;
	struct phase_spec phases[PHASE_COUNT];
	struct artifact_spec *artifacts; /* the primary one first, if its files are named */
	size_t artifact_count;
	struct report_spec *reports;
	size_t report_count;
	struct cache_spec cache;
	bool proxy_artifacts, proxy_logs;
	struct batch_spec batch;
};

struct buildspec_finding {
	bool warning;
	int line, column; /* from 1; 0: the file itself */
	size_t number;    /* in the order of checking */
	const char *path; /* "phases.build.commands[1]" */
	const char *message;
};

struct buildspec_findings {
	struct buildspec_finding *items; /* owned array; the texts are in the arena */
	size_t count;
};
void buildspec_findings_free(struct buildspec_findings *findings);
/* The first finding that is no warning, NULL when the file can be run. */
const struct buildspec_finding *buildspec_first_error(const struct buildspec_findings *findings);

/* Reads and checks text. What is wrong is in *findings, not an error of this call; *out is complete
 * when none of them is an error. */
void buildspec_parse(struct str text, struct arena *arena, struct buildspec *out,
	struct buildspec_findings *findings);

/* The same for the file at path; a missing or unreadable file is a finding at line 0. */
void buildspec_load(const char *path, struct arena *arena, struct buildspec *out,
	struct buildspec_findings *findings);

#endif
