/*
 * build.h - runs a buildspec over a checkout and says how it went.
 *
 *     DOWNLOAD_SOURCE -> INSTALL -> PRE_BUILD -> BUILD -> POST_BUILD -> UPLOAD_ARTIFACTS -> FINALIZING
 *
 * A failed INSTALL or PRE_BUILD goes straight to FINALIZING; a failed BUILD still has its POST_BUILD
 * and its artifacts, as on CodeBuild. A build that fails is a result, not an error of ours.
 *
 * The source folder is changed by the build: it must be a private copy.
 */
#ifndef BUILDSPEC_BUILD_H
#define BUILDSPEC_BUILD_H

#include "base/json_writer.h"
#include "base/limits.h"
#include "buildspec/artifacts.h"
#include "buildspec/reports.h"
#include "buildspec/secondary_source.h"
#include "buildspec/secrets_aws.h"

#define BUILD_LOG_LIMIT ((int64_t)1024 * 1024 * 1024)

struct build_options {
	const char *source;                        /* private folder; commands start here */
	const char *buildspec;                     /* file; relative to source unless absolute */
	const struct secondary_sources *secondary; /* private, too; NULL: none */
	const char *output;                        /* existing folder for artifacts */
	const char *reports; /* existing folder for reports (reports.h); NULL: output */
	const char *work; /* private folder for what the run needs itself; NULL: a temporary one */
	/* Folders below output: of the primary artifact, and of which the secondary ones are part. */
	const char *primary_folder, *secondary_folder; /* "primary" and "." */
	const char
		*cache; /* folder that keeps cache/paths from build to build; NULL: none is kept */
	const char *commit;         /* NULL: not known */
	const struct strings *env;  /* "NAME=value", wins over all; or NULL */
	const struct json *secrets; /* secrets.h; NULL: AWS is asked, if something is wanted */
	bool sandbox, network;
	struct limits limits; /* all-zero: the usual ones */
	int64_t timeout_ms;   /* 0: none */
	int cancel_fd;        /* readable: stop; 0: none */
	/* Where codebuild-breakpoint finds a terminal, and tells "b" and "e" (tools.h); 0: nowhere. */
	int break_fds[2];
	int64_t log_limit_bytes; /* of what commands print; 0: BUILD_LOG_LIMIT */
	/* Gets the log, masked, as it is written. */
	void (*log)(void *self, struct str piece);
	void *log_self;
};

struct build_phase {
	const char *name; /* "PRE_BUILD" */
	bool failed;
	int exit_code; /* of the first failed command; 0 if none failed */
	int64_t duration_ms;
	const char *context_code; /* NULL unless it failed: "COMMAND_EXECUTION_ERROR", … */
	char *context_message;    /* owned, masked */
};

enum { BUILD_PHASES = 7 };

struct build_result {
	bool succeeded;
	struct build_phase phases[BUILD_PHASES];
	size_t phase_count;
	struct artifact *artifacts; /* owned */
	size_t artifact_count;
	struct reports reports;
	struct strings exported;   /* "NAME=value", masked */
	struct secret_names asked; /* of AWS */
	/* Set when the buildspec itself is wrong; then nothing has run. */
	struct {
		bool given;
		char *message, *path; /* owned */
		int line, column;
	} problem;
	int64_t started_at, duration_ms;
};
void build_result_free(struct build_result *result);

/*
 * Runs the build to its end.
 *
 * Fails with  ERROR_CANCELLED, ERROR_TIMED_OUT, ERROR_FAILED (the disk is full; everything that ran
 *             was ended), ERROR_UNAVAILABLE (the sandbox does not work here, and why).
 */
bool build_run(const struct build_options *options, struct build_result *out_result,
	struct error *err) must_use;

/* The result as one JSON object in the words of CodeBuild: status, phases, exported_variables,
 * artifacts, reports, error. */
void build_result_write(const struct build_result *result, struct json_writer *w);
/* The same as members of an open object. */
void build_result_write_members(const struct build_result *result, struct json_writer *w);
/* "phases":[…] and "exported_variables":{…} as members of an open object. */
void build_result_write_phases(const struct build_result *result, struct json_writer *w);
void build_result_write_exported(const struct build_result *result, struct json_writer *w);

#endif
