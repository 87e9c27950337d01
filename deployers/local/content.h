/*
 * content.h - the bytes behind ECR and /v2/: one content store, manifests and tags per repository.
 *
 *     <state>/content/blobs/sha256/<hex>     every blob and manifest once
 *
 * Repositories, tags and which manifests and blobs a repository may show are in the store.
 * A blob appears whole under its name (O_TMPFILE or rename) or not at all.
 */
#ifndef DEPLOYERS_LOCAL_CONTENT_H
#define DEPLOYERS_LOCAL_CONTENT_H

#include "base/digest.h"
#include "base/error.h"
#include "deployers/local/cloud.h"

struct content;

bool content_open(struct cloud *cloud, struct content **out_content, struct error *err) must_use;
void content_close(struct content **content);

/* Owned path of a blob that is there; ERROR_NOT_FOUND names the digest. */
bool content_blob_path(struct content *content, const struct digest *digest, char **out_path,
	struct error *err) must_use;

/*
 * What an image reference means here: "127.0.0.1:4566/booking/rooms@sha256:…", ":tag" or no tag
 * (latest). The host part must be this cloud's endpoint or an ECR name of our account
 * (<account>.dkr.ecr.<region>.amazonaws.com), both mean our repositories.
 *
 * out_digest    the manifest's digest (an index is resolved to linux/amd64's manifest as a runtime would)
 * out_manifest  parsed; the caller's
 * Fails with ERROR_NOT_FOUND (repository, tag or digest unknown; says which), ERROR_INVALID.
 */
bool content_resolve(struct content *content, const char *reference, struct digest *out_digest,
	struct json **out_manifest, struct error *err) must_use;

#endif
