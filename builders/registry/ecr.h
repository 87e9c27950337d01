/*
 * ecr.h - what Amazon ECR needs besides the distribution protocol: tokens, and repositories that
 *         must exist before the first push.
 */
#ifndef BUILDERS_REGISTRY_ECR_H
#define BUILDERS_REGISTRY_ECR_H

#include "base/buf.h"
#include "base/error.h"

/* Is the host ECR, or the local cloud that stands in for it (the host of AWS_ENDPOINT_URL or
 * AWS_ENDPOINT_URL_ECR)? */
bool ecr_is_host(const char *host);

/* The AWS region in an ECR host name; false for other hosts. */
bool ecr_region_of(const char *host, char *out_region, size_t room);

/* Appends base64 of "AWS:password", good for HTTP Basic until out_expires_ms (0: it does not say). */
bool ecr_token(const char *host, struct buf *out_pair, int64_t *out_expires_ms, struct error *err)
	must_use;

/* What the environment says of which AWS credentials are used; owned, holds secrets. A token got with
 * others is not used again. */
char *ecr_identity(void) must_use;

/* Makes the repository; one that exists is fine. */
bool ecr_create_repository(const char *host, const char *repository, struct error *err) must_use;

#endif
