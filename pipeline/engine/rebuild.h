/*
 * rebuild.h - makes the image of a service once more, from a commit alone: the stages of a run, but
 *             with no cache, no ledger and nothing signed.
 */
#ifndef PIPELINE_ENGINE_REBUILD_H
#define PIPELINE_ENGINE_REBUILD_H

#include "base/digest.h"

struct rebuild_options {
	const char *repository; /* a folder */
	const char *commit;
	const char *service;
	const char *origin; /* where the repository is said to be, for advice; NULL: not known */
	const char *folder; /* private, for what is made on the way */
	const char *output; /* LAYOUT:TAG */
	const char *epoch;  /* SOURCE_DATE_EPOCH of the image; NULL: none */
	bool network, no_sandbox;
};

struct rebuilt {
	char commit[41];
	struct digest digest;
};

/*
 * Logs of the stages go to stderr.
 *
 * Fails with  ERROR_NOT_FOUND (repository, commit, service), ERROR_FAILED (a stage does not succeed),
 *             ERROR_INVALID (the commit's dogshore.yml).
 */
bool rebuild_image(const struct rebuild_options *options, struct rebuilt *out_rebuilt,
	struct error *err) must_use;

#endif
