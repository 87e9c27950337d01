/*
 * content.h - the bytes behind ECR and /v2/: one content store, manifests and tags per repository.
 *
 *     <state>/content/blobs/sha256/<hex>     every blob and manifest once (sha512 beside it)
 *     <state>/content/uploads/<id>.<hash>    blobs that have no name yet
 *
 * What a repository may show is in the store: "ecr.repository" by name, "ecr.blob" and "ecr.image"
 * by "<repository>@<digest>", "ecr.tag" by "<repository>:<tag>". So a blob that two repositories show
 * is one file and two links, and promotion moves no bytes.
 *
 * Crash-safe    A blob appears whole under its name (rename of a finished upload, or O_TMPFILE and
 *               link) or not at all; its link is committed after it, the manifest after its blobs.
 *               Killed in between, a file that nothing links is left, which the collector removes.
 * fsync         None: what the answer 201 promises is that kill -9 loses nothing, and the page
 *               cache survives the process. After a power failure the newest commits of the store
 *               may be missing (SQLite, synchronous=NORMAL), in order, so never a manifest without
 *               its links; a blob whose size is not what the store says counts as missing, and the
 *               next push brings it again.
 * Collected     at the start and every hour (content_collect): links that no image of their
 *               repository needs and that nobody pushed, mounted or asked for within a day, files
 *               without a link, uploads that got no byte for an hour.
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
/* Removes what nothing needs. Safe beside uploads that run. */
bool content_collect(struct content *content, struct error *err) must_use;

/* Owned path of a blob that is there; ERROR_NOT_FOUND names the digest. */
bool content_blob_path(struct content *content, const struct digest *digest, char **out_path,
	struct error *err) must_use;
/* The same by name ("sha256:…", "sha512:…", must be valid). */
bool content_blob_file(struct content *content, const char *name, char **out_path,
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

/* As ECR and the distribution specification allow it. */
bool content_repository_name_valid(struct str name);

/* The repository's document without repositoryUri, NULL when there is none. */
const struct json *content_repository(struct content *content, const char *repository);

/* A blob on its way in. All-zero is none; discard does nothing after commit. */
struct new_blob {
	int fd;                /* 0 when all-zero */
	struct hasher *hasher; /* owned */
	int64_t size_bytes;
	char *temporary; /* owned; NULL when it is an O_TMPFILE */
	bool broken;     /* a write failed: the blob can only be discarded */
};
/* file: its name in the folder of uploads, where it outlives the process; NULL: none. */
bool new_blob_create(struct content *content, const char *file, struct new_blob *out_blob,
	struct error *err) must_use;
/* One that an earlier process created and did not finish, at its end; ERROR_NOT_FOUND. Its hasher
 * knows nothing of the bytes that are there: only new_blob_finish() makes sense. */
bool new_blob_reopen(struct content *content, const char *file, struct new_blob *out_blob,
	struct error *err) must_use;
bool new_blob_append(struct new_blob *blob, const void *bytes, size_t size, struct error *err)
	must_use;
/* Names the blob by its SHA-256 and lets the repository (NULL: none) show it. ERROR_INVALID when
 * its name is another than expected (NULL: any). */
bool new_blob_commit(struct content *content, struct new_blob *blob, const char *repository,
	const char *expected, char out_name[DIGEST_NAME_SIZE], struct error *err) must_use;
/* The same when all its bytes were written to fd and hashed by others. */
bool new_blob_finish(struct content *content, struct new_blob *blob, const char *repository,
	const char *name, struct error *err) must_use;
void new_blob_discard(struct new_blob *blob);

/* Whether the repository shows this blob and it is there whole. repository NULL: any. */
bool content_has_blob(struct content *content, const char *repository, const char *name,
	int64_t *out_size_bytes);
/* Lets a repository show a blob that is there; links that exist are made young again. */
bool content_link_blob(struct content *content, const char *repository, const char *name,
	struct error *err) must_use;
/* Somebody was told that the blob is there and may rely on it: the collector leaves it for a day. */
void content_touch_blob(struct content *content, const char *repository, const char *name);
/* The repository shows it no longer. ERROR_NOT_FOUND; ERROR_CONFLICT names the image that needs it. */
bool content_unlink_blob(struct content *content, const char *repository, const char *name,
	struct error *err) must_use;

struct manifest_put {
	const char *repository;
	const char *tag;        /* NULL: none */
	const char *media_type; /* from the sender; NULL: the manifest's own mediaType */
	struct str bytes;
	enum digest_kind kind;   /* what it is named by */
	bool sparse;             /* an index may name manifests that are not here */
	struct strings *missing; /* gets what it names and is not here; NULL: not wanted */
};
/*
 * Keeps a manifest, and a tag for it.
 *
 * Fails with  ERROR_INVALID (no manifest, or it says another media type), ERROR_NOT_FOUND (blobs or
 *             manifests that it names are missing), ERROR_CONFLICT (the tag is immutable and exists).
 */
bool content_put_manifest(struct content *content, const struct manifest_put *put,
	char out_name[DIGEST_NAME_SIZE], struct error *err) must_use;
/* The "ecr.image" document by digest text ("sha256:…") or tag; NULL when there is none. */
const struct json *content_image(struct content *content, const char *repository,
	const char *reference);
/* Appends the manifest's bytes. */
bool content_read_manifest(struct content *content, const char *name, struct buf *out,
	struct error *err) must_use;
/* Removes a tag; the image stays. */
bool content_untag(struct content *content, const char *repository, const char *tag,
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
/* What an index names it contains; for the images of an index. NULL when none does. */
const char *content_index_of(struct content *content, const char *repository, const char *digest);

#endif
