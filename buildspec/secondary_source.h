/*
 * secondary_source.h - the sources that a build gets besides its own.
 *
 * The one called ID lies where CODEBUILD_SRC_DIR_ID says. The buildspec comes from the primary source, and
 * commands start there; artifacts and reports may name either in base-directory.
 *
 * Source  CodeBuild API reference, ProjectSource (sourceIdentifier) and Project (secondarySources)
 */
#ifndef BUILDSPEC_SECONDARY_SOURCE_H
#define BUILDSPEC_SECONDARY_SOURCE_H

#include "base/buf.h"
#include "base/error.h"

enum { SECONDARY_SOURCES_MAX = 12, SECONDARY_SOURCE_ID_MAX = 127 };

struct secondary_source {
	char *id;     /* owned; letters, digits, "_" */
	char *folder; /* owned; on this machine */
	char *inside; /* owned; what the build calls it */
};

struct secondary_sources {
	struct secondary_source *items; /* owned */
	size_t count;
};
void secondary_sources_free(struct secondary_sources *sources);

/* Reads "ID=DIR", as often as given. Fails with ERROR_USAGE. */
bool secondary_sources_parse(const struct strings *given, bool sandbox,
	struct secondary_sources *out_sources, struct error *err) must_use;

/* Private copies in work/secondary/ID, for one build to change. Fails with ERROR_NOT_FOUND (no such
 * folder) and what reading and writing gives. */
bool secondary_sources_copy(const struct secondary_sources *sources, const char *work, bool sandbox,
	struct secondary_sources *out_copies, struct error *err) must_use;

#endif
