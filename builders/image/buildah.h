/*
 * buildah.h - runs buildah, which builds Dockerfiles without a daemon and, where the system lets it,
 *             without root.
 *
 * It works in its own store (buildah's settings and environment decide where), which also keeps its
 * cache of steps. Steps run in its "chroot" isolation unless BUILDAH_ISOLATION says otherwise: that
 * one works in containers too and needs no runtime. What buildah prints goes to our stderr,
 * without the given secrets and what looks like a credential.
 */
#ifndef BUILDERS_IMAGE_BUILDAH_H
#define BUILDERS_IMAGE_BUILDAH_H

#include "base/buf.h"
#include "base/error.h"

struct buildah_options {
	const char *file;                 /* the Dockerfile */
	const char *context;              /* the folder that COPY takes from */
	const struct strings *build_args; /* "NAME=value"; may be NULL */
	const char *target;               /* stage to build; NULL: the last */
	const char *platform;             /* "linux/arm64"; NULL: this machine's */
	const struct strings *secrets;    /* not to be shown; may be NULL */
	bool no_cache;
};

/*
 * Builds, and leaves manifest.json, the configuration and the layers, uncompressed, each under the
 * hex digits of its digest, in folder (which must not be there).
 *
 * work  a folder for other files; it is there
 * Fails with ERROR_NOT_FOUND when buildah is not installed, ERROR_FAILED when the build fails.
 */
bool buildah_build(const struct buildah_options *options, const char *work, const char *folder,
	struct error *err) must_use;

#endif
