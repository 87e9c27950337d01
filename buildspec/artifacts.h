/*
 * artifacts.h - picks the files that a buildspec names out of a finished build and copies them.
 *
 * Either all files of a definition arrive or its folder is not there.
 */
#ifndef BUILDSPEC_ARTIFACTS_H
#define BUILDSPEC_ARTIFACTS_H

#include "buildspec/buildspec.h"
#include "buildspec/secondary_source.h"

struct artifact {
	char *identifier;     /* NULL: the primary one */
	char *name;           /* evaluated, NULL: none */
	char *folder;         /* relative to the output folder */
	struct strings files; /* relative to folder, sorted */
};
void artifact_free(struct artifact *artifact);

struct artifact_place {
	const char *source; /* the build's folder, on this machine */
	const char *inside; /* what the build itself called it: absolute patterns begin with it */
	const char *output; /* existing folder */
	const char *folder; /* relative to output; made */
	/* Other sources, one of which a base-directory may name; NULL: none. */
	const struct secondary_sources *secondary;
	const char *id; /* of the one that this place is in; NULL: the primary source */
};

/*
 * Collects one definition.
 *
 * out_missing  why nothing was collected ("no matching artifact paths found", a file that is still
 *              being written), else NULL: an outcome of the build, no error of ours
 * say          gets one line for each pattern that matched nothing and each name that came twice
 */
bool artifact_collect(const struct artifact_spec *spec, const struct artifact_place *place,
	void (*say)(void *self, const char *line), void *self, struct artifact *out,
	char **out_missing, struct error *err) must_use;

/* place, or the same in the secondary source that base_directory (or NULL) names. */
struct artifact_place artifact_place_of(const struct artifact_place *place,
	const char *base_directory);
/* "dist/x" of "$CODEBUILD_SRC_DIR/dist/x", and of "/codebuild/src/dist/x" when that is where the build ran;
 * borrowed from pattern. */
const char *artifact_relative_pattern(const struct artifact_place *place, const char *pattern);
/* The folders that a base-directory (or NULL) means, relative to the source; "." is itself. */
bool artifact_find_bases(const struct artifact_place *place, const char *base_directory,
	struct strings *out_bases, struct error *err) must_use;

#endif
