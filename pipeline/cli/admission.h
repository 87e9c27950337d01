/*
 * admission.h - an image of a registry against a policy, for whoever deploys it.
 */
#ifndef PIPELINE_CLI_ADMISSION_H
#define PIPELINE_CLI_ADMISSION_H

#include "base/buf.h"
#include "base/error.h"

/*
 * image   HOST/REPOSITORY@sha256:…
 * policy  path, which read() understands; so are the paths of keys
 *
 * Fails with  ERROR_FAILED (refused), ERROR_INVALID (the policy), and what fetching the image gives.
 */
bool admission_check(const char *image, const char *policy,
	bool (*read)(void *self, const char *path, size_t limit_bytes, struct buf *out,
		struct error *err),
	void *self, struct error *err) must_use;

#endif
