/*
 * content.h - the bytes behind ECR and /v2/: one content store, manifests and tags per repository.
 *
 *     <state>/content/blobs/sha256/<hex>     every blob and manifest once
 *
 * What a repository may show is in the store: "ecr.repository" by name, "ecr.blob" and "ecr.image"
 * by "<repository>@<digest>", "ecr.tag" by "<repository>:<tag>". A blob appears whole under its name
 * (O_TMPFILE and link) or not at all; one whose size is not what the store says (the machine lost
 * power) counts as missing, so the next push brings it again. Blobs that no image needs are removed
 * at the first start a day later.
 */
#ifndef DEPLOYERS_LOCAL_CONTENT_H
#define DEPLOYERS_LOCAL_CONTENT_H

#include "base/digest.h"
#include "base/error.h"
#include "deployers/local/cloud.h"

struct content;

enum { MANIFEST_LIMIT = 4 << 20 };

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

/* Names as ECR and the distribution specification allow them. */
bool content_repository_name_valid(struct str name);
bool content_tag_valid(struct str tag);

/* The repository's document without repositoryUri, NULL when there is none. */
const struct json *content_repository(struct content *content, const char *repository);

/* A blob on its way in. All-zero is none; discard does nothing after commit. */
struct new_blob {
	int fd;                /* 0 when all-zero */
	struct hasher *hasher; /* owned */
	int64_t size_bytes;
	char *temporary; /* owned; NULL when the file system knows O_TMPFILE */
	bool broken;     /* a write failed: the blob can only be discarded */
};
bool new_blob_create(struct content *content, struct new_blob *out_blob, struct error *err)
	must_use;
bool new_blob_append(struct new_blob *blob, const void *bytes, size_t size, struct error *err)
	must_use;
/* Names the blob by its digest and lets the repository show it. ERROR_INVALID when its digest is
 * another than expected (NULL: any). */
bool new_blob_commit(struct content *content, struct new_blob *blob, const char *repository,
	const struct digest *expected, struct digest *out_digest, struct error *err) must_use;
void new_blob_discard(struct new_blob *blob);

/* Whether the repository shows this blob and it is there whole. repository NULL: any. */
bool content_has_blob(struct content *content, const char *repository, const struct digest *digest,
	int64_t *out_size_bytes);
/* Lets another repository show a blob that is there. */
bool content_link_blob(struct content *content, const char *repository, const struct digest *digest,
	struct error *err) must_use;

/*
 * Keeps a manifest, and a tag for it unless tag is NULL.
 *
 * media_type  from the sender; NULL: the manifest's own mediaType
 * Fails with  ERROR_INVALID (no manifest, or it says another media type), ERROR_NOT_FOUND (a blob or
 *             manifest that it names is missing), ERROR_CONFLICT (the tag is immutable and exists).
 */
bool content_put_manifest(struct content *content, const char *repository, const char *tag,
	const char *media_type, struct str bytes, struct digest *out_digest, struct error *err)
	must_use;
/* The "ecr.image" document by digest text ("sha256:…") or tag; NULL when there is none. */
const struct json *content_image(struct content *content, const char *repository,
	const char *reference);
/* Appends the manifest's bytes. */
bool content_read_manifest(struct content *content, const struct digest *digest, struct buf *out,
	struct error *err) must_use;
/* Removes a tag. The image goes with its last tag, as in ECR. */
bool content_remove_tag(struct content *content, const char *repository, const char *tag,
	struct error *err) must_use;
/* Removes an image and its tags. ERROR_CONFLICT when an index in the repository still names it. */
bool content_remove_image(struct content *content, const char *repository, const char *digest,
	struct error *err) must_use;
/* Removes a repository with its images, tags and blobs. */
bool content_remove_repository(struct content *content, const char *repository, struct error *err)
	must_use;

/* Calls each for every image of the repository, in order of the first push. */
void content_each_image(struct content *content, const char *repository,
	bool (*each)(void *context, const char *digest, const struct json *image), void *context);
/* The repository's tags, sorted; digest NULL: all, else those that name it. */
void content_tags(struct content *content, const char *repository, const char *digest,
	struct strings *out_tags);

#endif
