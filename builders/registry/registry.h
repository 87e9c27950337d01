/*
 * registry.h - manifests and blobs of one repository, through a session.
 *
 * A registry keeps blobs (layers, configs) and manifests (the list that makes blobs an image), all
 * named by digest. We push bottom up - blobs, then the manifest - so no reader ever meets a manifest
 * whose blobs are missing.
 *
 * Source  distribution-spec 1.1. An upload is POST and PUT with the whole blob, because ECR's
 *         chunked uploads do not follow the specification. Each POST asks to mount the blob from a
 *         repository that may have it, first of all from this one: a registry that has it answers
 *         201, which spares the HEAD that others send first.
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

/* How a manifest was received. */
enum put_result {
	PUT_DONE,
	PUT_BLOBS_MISSING, /* the registry says that it lacks what the manifest names */
};
bool registry_put_manifest(struct session *session, const char *key, const char *media_type,
	struct str body, const struct digest *digest, enum put_result *out_result,
	struct error *err) must_use;

enum upload_state {
	UPLOAD_OPEN,
	UPLOAD_EXISTED,
	UPLOAD_MOUNTED,
	UPLOAD_SENT,
};

struct upload {
	struct digest digest;
	int64_t size_bytes;
	const char *mount_from; /* repository that may have it; NULL: this one */
	/* Opens the content for reading; called once per attempt, the descriptor is closed after it. */
	bool (*open)(void *context, const struct upload *upload, int *out_fd, struct error *err);
	void *context;
	enum upload_state state; /* the result */
	/* registry_upload's own */
	bool mount_refused;
	char *url; /* owned */
	int tries;
};
void upload_free(struct upload *upload);

/*
 * Brings blobs into the repository, side by side. Interrupted uploads are begun anew, five times.
 *
 * out_repository_missing  set (with a false return, ERROR_NOT_FOUND) when it must be created first
 */
bool registry_upload(struct session *session, struct upload *uploads, size_t count,
	bool *out_repository_missing, struct error *err) must_use;

/* Gets a blob into fd (truncated first, written from its start) and verifies size and digest. */
bool registry_fetch_blob(struct session *session, const struct digest *digest, int64_t size_bytes,
	int fd, struct error *err) must_use;

#endif
