/*
 * explain.h - what a build of a buildspec would run, with what, and what it would keep; without
 *             running any of it.
 *
 * Nothing is evaluated: names and keys that the build's shell would fill in stand as in the file.
 */
#ifndef BUILDSPEC_EXPLAIN_H
#define BUILDSPEC_EXPLAIN_H

#include "base/json_writer.h"
#include "buildspec/environment.h"

struct explanation {
	const char *file;
	const struct buildspec *spec;
	const struct environment *environment; /* of environment_build() without a masker */
};

/* For reading. */
void explanation_print(const struct explanation *explanation, struct buf *out);
/* One object: version, shell, run_as, environment, phases, artifacts, reports, cache, proxy,
 * exported_variables, batch. */
void explanation_write(const struct explanation *explanation, struct json_writer *w);

/* "RETRY-3-timed.*out"; "" when nothing is said. Owned. */
char *explanation_on_failure(const struct phase_spec *phase) must_use;

#endif
