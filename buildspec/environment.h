/*
 * environment.h - the variables that a build's first command finds.
 *
 * Lowest first: what every shell has (PATH, HOME, …), the buildspec's variables, its parameters and
 * secrets, the built-in CODEBUILD_ variables, and what the caller of the build gave. Nothing of our
 * own environment reaches a sandboxed build.
 */
#ifndef BUILDSPEC_ENVIRONMENT_H
#define BUILDSPEC_ENVIRONMENT_H

#include "buildspec/build.h"
#include "buildspec/buildspec.h"
#include "buildspec/secrets_aws.h"

#include "base/masker.h"

struct environment {
	struct strings variables;  /* "NAME=value", no name twice */
	struct strings origins;    /* where each comes from: "env.variables", "built-in", … */
	struct strings skipped;    /* names that no shell can hold */
	struct secret_names asked; /* of AWS */
};
void environment_free(struct environment *environment);

/* What the build calls them; tools may be NULL. */
struct environment_places {
	const char *source; /* CODEBUILD_SRC_DIR */
	const char *tools;  /* the last folder of PATH */
};

/*
 * Puts the variables together.
 *
 * masker  gets the values of parameters and secrets; NULL: they are not looked up, each is "***"
 *
 * Fails with  what looking up parameters and secrets gives: ERROR_NOT_FOUND, ERROR_INVALID,
 *             ERROR_DENIED, and those of asking AWS.
 */
bool environment_build(const struct build_options *options, const struct buildspec *spec,
	const struct environment_places *places, struct masker *masker,
	struct environment *out_environment, struct error *err) must_use;

/* A name that a shell can hold: letters, digits, "_", no digit first. */
bool environment_is_name(const char *name);

/* Reads a file of NAME=VALUE lines: "#" lines and empty ones are skipped, the value is everything
 * behind the first "=". */
bool environment_read_file(const char *path, struct strings *out_variables, struct error *err)
	must_use;

#endif
