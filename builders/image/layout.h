/*
 * layout.h - an OCI image layout: a folder with blobs named by digest and an index.json of tags.
 *
 *     LAYOUT/oci-layout, LAYOUT/index.json, LAYOUT/blobs/sha256/<hex>
 *
 * Several processes may write into one layout: a blob appears whole under its name, and index.json
 * is read, changed and replaced under a lock on the folder.
 *
 * Source  image-spec 1.1, image-layout.md. A tag is the annotation org.opencontainers.image.ref.name.
 */
#ifndef BUILDERS_IMAGE_LAYOUT_H
#define BUILDERS_IMAGE_LAYOUT_H

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"

#define MEDIA_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_TYPE_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

enum { MANIFEST_LIMIT = 4 << 20 };

struct layout {
	char *path; /* owned */
};
void layout_free(struct layout *layout);

/* Makes the folder and what a layout needs, where missing. ERROR_INVALID when the folder holds a
 * layout of a version we do not know, ERROR_CONFLICT when it holds something else. */
bool layout_create(const char *path, struct layout *out_layout, struct error *err) must_use;
/* One that must be there. */
bool layout_open(const char *path, struct layout *out_layout, struct error *err) must_use;

/* Splits "DIR:TAG" or "DIR"; the tag is "latest" when none is given. Both owned. */
bool layout_reference_parse(const char *text, char **out_path, char **out_tag, struct error *err)
	must_use;

/* Owned path of a blob, there or not. */
char *layout_blob_path(const struct layout *layout, const struct digest *digest) must_use;
/* Is a blob of that digest and size there? */
bool layout_has_blob(const struct layout *layout, const struct digest *digest, int64_t size_bytes);
bool layout_write_blob(const struct layout *layout, struct str content, struct digest *out_digest,
	struct error *err) must_use;
/* Reads a small blob (a manifest, a config) and verifies its digest. */
bool layout_read_blob(const struct layout *layout, const struct digest *digest, size_t limit_bytes,
	struct buf *out, struct error *err) must_use;

/* Brings a blob over from another layout (or this one: then it only must be there), as a second name
 * for the same bytes where the file system allows it; what is brought is verified. ERROR_NOT_FOUND,
 * ERROR_INVALID. */
bool layout_take_blob(const struct layout *layout, const struct layout *from,
	const struct digest *digest, int64_t size_bytes, struct error *err) must_use;

/* A blob of unknown digest: write to file.fd, then name it. discard undoes an uncommitted one. */
struct layout_blob {
	int fd;
	char *temporary; /* owned; NULL while the file has no name */
};
bool layout_blob_create(const struct layout *layout, struct layout_blob *out_blob,
	struct error *err) must_use;
bool layout_blob_commit(const struct layout *layout, struct layout_blob *blob,
	const struct digest *digest, struct error *err) must_use;
void layout_blob_discard(struct layout_blob *blob);

struct layout_entry {
	struct digest digest;
	int64_t size_bytes;
	char media_type[128];
};

/* What a tag names. ERROR_NOT_FOUND lists the tags that are there. */
bool layout_find_tag(const struct layout *layout, const char *tag, struct layout_entry *out_entry,
	struct error *err) must_use;
/* Makes tag name a manifest or index that is there already. architecture may be NULL. */
bool layout_set_tag(const struct layout *layout, const char *tag, const struct layout_entry *entry,
	const char *architecture, struct error *err) must_use;
/* The same for an image with its list of reasons (reasons.h), a blob that is there. */
bool layout_set_image(const struct layout *layout, const char *tag,
	const struct layout_entry *entry, const char *architecture, const struct digest *reasons,
	struct error *err) must_use;
/* The list of reasons of a tag; all zero when it has none. */
bool layout_find_reasons(const struct layout *layout, const char *tag, struct digest *out_digest,
	struct error *err) must_use;
/* What a descriptor of the index names as its list of reasons, "" when nothing. */
const char *layout_reasons_of(const struct json *descriptor);

/* index.json, the caller's; and the tag of one of its descriptors, "" when it has none. */
bool layout_read_index(const struct layout *layout, struct json **out_index, struct error *err)
	must_use;
const char *layout_tag_of(const struct json *descriptor);
/* For those who change the index: its lock, held until descriptor_close(fd); replaces it whole. */
bool layout_lock(const struct layout *layout, int *out_fd, struct error *err) must_use;
bool layout_write_index(const struct layout *layout, const struct json *index, struct error *err)
	must_use;
/* Lists a manifest that is there already, without a tag; takes the descriptor. One that is listed
 * so already stays as it is. */
bool layout_list(const struct layout *layout, struct json *descriptor, struct error *err) must_use;

#endif
