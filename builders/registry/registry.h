/*
 * registry.h - manifests and blobs of one repository, through a session.
 *
 * A registry keeps blobs (layers, configs) and manifests (the list that makes blobs an image), all
 * named by digest. We push bottom up - blobs, then the manifest - so no reader ever meets a manifest
 * whose blobs are missing.
 *
 * Source  distribution-spec 1.1. How blobs get there is told in upload.h.
 */
#ifndef BUILDERS_REGISTRY_REGISTRY_H
#define BUILDERS_REGISTRY_REGISTRY_H

#include "builders/image/config.h"
#include "builders/registry/session.h"

struct remote_manifest {
	bool found;
	bool repository_missing; /* not found because there is no such repository */
	struct buf body;
	struct digest digest; /* computed from body */
	char *media_type;     /* owned */
};
void remote_manifest_free(struct remote_manifest *manifest);

/*
 * Gets a manifest by tag or "sha256:…". One that is not there is no error; nor is one that we may not
 * see (403): Artifactory says so of tags that do not exist, and pushing it will tell.
 *
 * Fails with ERROR_PROTOCOL when the body is not what its digest says, ERROR_DENIED, ERROR_UNAVAILABLE.
 */
bool registry_get_manifest(struct session *session, const char *key,
	struct remote_manifest *out_manifest, struct error *err) must_use;

/* Of what a registry sent nothing is the user's mistake: an ERROR_INVALID becomes ERROR_PROTOCOL. Always
 * false, unless there is no error (ok). */
bool registry_blame(bool ok, struct error *err);

/* How a manifest was received. */
enum put_kind {
	PUT_DONE,
	PUT_BLOBS_MISSING, /* the registry says that it lacks what the manifest names */
	PUT_REFUSED,       /* in any other way; only when asked to probe */
};

struct put_result {
	enum put_kind kind;
	bool unsupported;       /* refused because it is no manifest that this registry takes */
	struct error why;       /* PUT_REFUSED: the registry's words */
	struct digest *missing; /* owned: those that it names; none: it does not say which */
	size_t missing_count;
};
void put_result_free(struct put_result *result);

/*
 * Puts a manifest under a tag or a digest.
 *
 * probe  only to learn which blobs are missing: a refusal of any kind is a result
 */
bool registry_put_manifest(struct session *session, const char *key, const char *media_type,
	struct str body, const struct digest *digest, bool probe, struct put_result *out_result,
	struct error *err) must_use;

/* A blob to be got. */
struct fetch {
	struct digest digest;
	int64_t size_bytes;
	int fd;       /* truncated first, written from its start */
	bool arrived; /* the result: size and digest are right */
};
/*
 * Gets blobs side by side and verifies them. When one fails, others may have arrived all the same.
 *
 * Fails with  ERROR_PROTOCOL (another digest or size), ERROR_NOT_FOUND, ERROR_DENIED, ERROR_UNAVAILABLE.
 */
bool registry_fetch_blobs(struct session *session, struct fetch *fetches, size_t count,
	struct error *err) must_use;

/* The same of one. */
bool registry_fetch_blob(struct session *session, const struct digest *digest, int64_t size_bytes,
	int fd, struct error *err) must_use;

#endif
