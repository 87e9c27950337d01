/*
 * executor.h - where a build runs: today in a sandbox on this machine.
 *
 * An executor gets a private checkout and leaves everything that the build was to make in a folder:
 *
 *     output/artifacts/      the primary artifact's files
 *     output/secondary/ID/   those of secondary artifacts
 *     output/reports/GROUP/  reports, masked, and output/reports.jsonl: what they say
 *     output/build.log.zst   what was printed, masked, with times (stored_log.h)
 *     output/build.log       the same as plain text, for whoever wants it
 *     output/result.json     executor_write_result()
 *     output/reads.json      what it read of the checkout outside of request.path (reads_file.h)
 *
 * That, and all that executor_outputs names, is what a build is kept as (builders/store): whoever adds
 * something to the folder adds a row there.
 *
 * Adding one is a file with one `const struct executor`, a row in executors.c and its name below.
 */
#ifndef BUILDERS_EXECUTOR_EXECUTOR_H
#define BUILDERS_EXECUTOR_EXECUTOR_H

#include "buildspec/build.h"

/* For options and keys: all of executors.c. */
#define EXECUTOR_NAMES "local"
#define EXECUTOR_DEFAULT "local"

struct executor_request {
	const char *executor;  /* its name, for the result */
	const char *service;   /* for the result */
	const char *commit;    /* 40 hex digits */
	const char *toolchain; /* what identifies the programs it builds with; NULL: not known */
	const char *source;    /* private checkout; the build changes it */
	const char *work;      /* private folder beside it; NULL: a temporary one */
	const char *path; /* relative to source; reads.json is about the rest. NULL: nothing is */
	const char *buildspec; /* relative to source */
	const char *output;    /* existing folder; what an earlier build left there is replaced */
	const char *cache;     /* folder that is kept from build to build; NULL: none */
	const struct strings *env;  /* "NAME=value" */
	const struct json *secrets; /* or NULL */
	bool sandbox, network;
	struct limits limits;                      /* all-zero: the usual ones */
	int64_t log_limit_bytes;                   /* of the log; 0: 1 GiB */
	int64_t timeout_ms;                        /* 0: none */
	int cancel_fd;                             /* readable: stop; 0: none */
	bool plain_log;                            /* build.log as well */
	void (*log)(void *self, struct str piece); /* gets the log as it is written; or NULL */
	void *log_self;
};

struct executor {
	const char *name; /* "local" */
	/* As build_run(): a build that fails is a result. */
	bool (*build)(const struct executor_request *request, struct build_result *out_result,
		struct error *err);
};

#define EXECUTOR_LOG "build.log.zst" /* stored_log.h */
#define EXECUTOR_PLAIN_LOG "build.log"
#define EXECUTOR_RESULT "result.json"
#define EXECUTOR_READS "reads.json"
/* Names in the output folder. */
extern const char *const executor_outputs[];
extern const size_t executor_output_count;
/* Removes them and the plain log: nothing of an earlier build may be taken for this one's. */
bool executor_clear(const char *output, struct error *err) must_use;
/* Writes the plain log of a folder that has the stored one alone; without either it does nothing. */
bool executor_write_plain_log(const char *output, struct error *err) must_use;

extern const struct executor local_executor;
/* NULL when there is none of that name. */
const struct executor *executor_find(const char *name);

/* The stage's result of interfaces.md, "build": one JSON object. */
bool executor_write_result(const struct executor_request *request,
	const struct build_result *result, struct buf *out, struct error *err) must_use;

#endif
