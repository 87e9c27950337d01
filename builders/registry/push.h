/*
 * push.h - an image into a repository, from a layout or from another repository.
 *
 *     GET the tag's manifest ─► same digest: done, one request
 *          │ another one: the layers it names are proven to be there
 *          │ none: PUT the manifest by digest, when several blobs are likely there (blob_memory.h);
 *          │       a registry that refuses it names those that are missing
 *          ▼
 *     POST (+ PUT) for the rest, side by side ─► PUT manifest
 *
 * Referrers (artifact.h) go after the image. When the tag has the image already they are only looked
 * at if they are not noted as pushed, so that a push that changes nothing stays one request.
 *
 * What an index names is pushed before the index. A tag changes only when all it names is there.
 * Calling again is safe and takes up where the last call stopped.
 */
#ifndef BUILDERS_REGISTRY_PUSH_H
#define BUILDERS_REGISTRY_PUSH_H

#include "builders/image/artifact.h"
#include "builders/registry/registry.h"
#include "builders/registry/upload.h"

/* Where manifests and blobs come from. */
struct image_source {
	/* A manifest's bytes and media type, by digest; verified. */
	bool (*manifest)(void *self, const struct digest *digest, struct buf *out_body,
		char **out_media_type, struct error *err);
	/* A blob opened for reading. */
	bool (*blob)(void *self, const struct digest *digest, int64_t size_bytes, int *out_fd,
		struct error *err);
	/* What the source has about a manifest, pushed after it; NULL: nothing. */
	bool (*referrers)(void *self, const struct digest *subject, struct artifact_list *out_list,
		struct error *err);
	/* The repository on host that has a blob which the source does not have itself; borrowed until
	 * the source is closed. NULL (also the function): unknown. */
	const char *(*home)(void *self, const char *host, const struct digest *digest,
		int64_t size_bytes);
	void *self;
	const char *mount_from; /* repository on the same registry that has the blobs; NULL: none */
	struct session *stream_from; /* where blobs can be streamed from; NULL: blob() gives them */
};

struct push_options {
	bool plain_http;
	bool create_repository; /* make a missing ECR repository */
	/* Where it is noted which referrers were pushed (pushed_note.h); NULL: nowhere. */
	const char *note_folder;
	const char *kept_folder; /* "<state>/registry": tokens and hints; NULL: nothing is kept */
	struct clock *clock;     /* NULL: the system's */
};

struct push_result {
	struct digest digest;
	int64_t uploaded, existing, mounted; /* blobs */
	int64_t referrers;                   /* manifests about the image that were not there */
	int64_t plain_referrers;             /* of them: as plain images (plain_artifact.h) */
	struct session_counts counts;
	struct strings warnings; /* what the registry wants people to know */
	int64_t duration_ms;
};
void push_result_free(struct push_result *result);
/* Adds what a session did to counts and warnings. */
void push_take_counts(struct push_result *result, const struct session *session);

/*
 * Makes target (by its tag, or only by digest when it has none but a digest) name the manifest
 * `digest` of source.
 *
 * Fails with ERROR_NOT_FOUND (repository, with advice), ERROR_DENIED, ERROR_UNAVAILABLE (five tries),
 * ERROR_PROTOCOL (the registry computed another digest), ERROR_CONFLICT (immutable tag).
 */
bool push_image(const struct image_source *source, const struct digest *digest,
	const struct reference *target, const struct push_options *options,
	struct push_result *out_result, struct error *err) must_use;

/* The document of interfaces.md, "image push". */
void push_write_json(const struct push_result *result, const struct reference *target,
	const char *stage, struct buf *out);

#endif
