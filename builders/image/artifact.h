/*
 * artifact.h - what is known about an image, beside the image: SBOM, provenance, signature, debug
 *              information. Each is a referrer: a manifest of its own that names the image as its
 *              `subject`, so that the image's digest stays what it was.
 *
 * In a layout a referrer is listed in index.json without a tag. cosign's older form, an image with
 * the tag "sha256-<hex>.sig", counts as one too.
 *
 * Source  image-spec 1.1, manifest.md: "Guidelines for Artifact Usage"; distribution-spec 1.1,
 *         "Listing Referrers".
 */
#ifndef BUILDERS_IMAGE_ARTIFACT_H
#define BUILDERS_IMAGE_ARTIFACT_H

#include "builders/image/layout.h"

#define MEDIA_TYPE_EMPTY "application/vnd.oci.empty.v1+json"

struct artifact_blob {
	const char *media_type;
	struct str content; /* data NULL: the blob is in the layout already, as digest */
	struct digest digest;
	int64_t size_bytes;
	const struct strings *annotations; /* "key=value"; NULL: none */
};

struct artifact {
	const char *artifact_type;
	struct layout_entry subject;
	const struct artifact_blob *blobs;
	size_t blob_count;
	const struct strings *annotations; /* of the manifest, "key=value"; NULL: none */
};

/*
 * Writes the blobs and the manifest and lists it in the layout. Equal artifacts have equal bytes, so
 * adding one again changes nothing.
 *
 * out_entry  the manifest; NULL: not wanted
 */
bool artifact_add(const struct layout *layout, const struct artifact *artifact,
	struct layout_entry *out_entry, struct error *err) must_use;

/* A manifest that belongs to a subject. */
struct artifact_entry {
	struct layout_entry manifest;
	char *artifact_type;      /* owned; "" when it says none */
	struct json *annotations; /* owned; NULL: none */
	char *tag; /* owned; "sha256-….sig" when that is how it is found, else NULL */
	/* Owned: the manifest itself when the registry has only its plain form (plain_artifact.h), whose
	 * digest `manifest` is; type and annotations are those of inner. Else NULL. */
	char *inner;
	struct digest inner_digest;
};

struct artifact_list {
	struct artifact_entry *items; /* owned */
	size_t count;
};
void artifact_entry_free(struct artifact_entry *entry);
void artifact_list_free(struct artifact_list *list);
/* Takes the entry. */
void artifact_list_add(struct artifact_list *list, struct artifact_entry *entry);
/* Under that digest, or under another as its plain form. */
const struct artifact_entry *artifact_list_find(const struct artifact_list *list,
	const struct digest *digest);

/* What a layout has about the manifest `subject`, in the order of its index. */
bool artifact_list_read(const struct layout *layout, const struct digest *subject,
	struct artifact_list *out_list, struct error *err) must_use;

/*
 * Reads a manifest as a referrer.
 *
 * out_subject  what it refers to
 * out_entry    digest and size are those of text
 * Returns false without an error when it has no subject.
 * Fails with  ERROR_INVALID, ERROR_LIMIT.
 */
bool artifact_parse(struct str text, const char *what, struct digest *out_subject,
	struct artifact_entry *out_entry, struct error *err) must_use;

/* If it is a plain form, it counts as what it holds: type, annotations, inner. */
void artifact_look_inside(struct artifact_entry *entry);
/* The entry of a plain form as it was before. */
bool artifact_restore(const struct artifact_entry *plain, struct artifact_entry *out_entry,
	struct error *err) must_use;

/*
 * Reads the list of referrers that a registry gives: an index whose descriptors carry artifactType
 * and annotations. Adds to *list; what is named by another algorithm than sha256 is passed over.
 */
bool artifact_list_parse(struct str text, const char *what, struct artifact_list *list,
	struct error *err) must_use;
/* A descriptor of such an index. */
struct json *artifact_descriptor(const struct artifact_entry *entry) must_use;

enum { ARTIFACT_TAG_SIZE = 7 + 64 + 16 };
/* "sha256-<hex>" and a suffix: "" for the index of referrers, ".sig" for cosign's signatures. */
void artifact_tag(const struct digest *subject, const char *suffix, char out[ARTIFACT_TAG_SIZE]);

#endif
