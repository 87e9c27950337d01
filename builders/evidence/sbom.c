#include "builders/evidence/sbom.h"

#include "builders/evidence/sbom_model.h"
#include "builders/image/artifact.h"
#include "builders/image/layer_cache.h"

struct form {
	const char *media_type, *title;
	void (*write)(const struct sbom *sbom, struct buf *out);
};

static const struct form spdx_form = {MEDIA_TYPE_SPDX, "sbom.spdx.json", sbom_write_spdx};
static const struct form cyclonedx_form = {MEDIA_TYPE_CYCLONEDX, "sbom.cdx.json",
	sbom_write_cyclonedx};

/* One call: an sbom is completed when the first of its documents is not in the cache. */
struct adding {
	struct sbom sbom;
	bool complete;
	struct layout layout;
	struct layer_cache cache; /* folder NULL: none */
};

static void adding_free(struct adding *adding)
{
	sbom_free(&adding->sbom);
	layout_free(&adding->layout);
	layer_cache_free(&adding->cache);
}

static struct digest key_of(const struct adding *adding, const struct form *form)
{
	struct hasher *hasher = hasher_new();

	hasher_add(hasher, form->media_type, strlen(form->media_type) + 1);
	hasher_add(hasher, adding->sbom.identity.bytes, sizeof(adding->sbom.identity.bytes));
	struct digest key = hasher_finish(hasher);
	hasher_free(&hasher);
	return key;
}

/* The document as a blob of the layout: from the cache of layers, else made. */
static bool make_document(struct adding *adding, const struct form *form, struct packed *out_blob,
	struct error *err)
{
	struct digest key = key_of(adding, form);
	scoped(buf_free) struct buf text = {0};

	if (adding->cache.folder &&
		layer_cache_take(&adding->cache, &key, &adding->layout, out_blob))
		return true;
	if (!adding->complete && !sbom_complete(&adding->sbom, err))
		return false;
	adding->complete = true;
	form->write(&adding->sbom, &text);
	*out_blob =
		(struct packed){.size_bytes = (int64_t)text.size, .diff_bytes = (int64_t)text.size};
	if (!layout_write_blob(&adding->layout, buf_str(&text), &out_blob->digest, err))
		return false;
	out_blob->diff_id = out_blob->digest;
	if (adding->cache.folder)
		layer_cache_store(&adding->cache, &key, &adding->layout, out_blob);
	return true;
}

static bool add_document(struct adding *adding, const struct form *form,
	const struct layout_entry *subject, struct digest *out_digest, struct error *err)
{
	scoped(strings_free) struct strings annotations = {0};
	struct layout_entry entry;
	struct packed blob;

	if (!make_document(adding, form, &blob, err))
		return error_while(err, "making %s", form->title);
	strings_printf(&annotations, "org.opencontainers.image.title=%s", form->title);
	struct artifact_blob document = {.media_type = form->media_type,
		.digest = blob.digest,
		.size_bytes = blob.size_bytes,
		.annotations = &annotations};
	struct artifact artifact = {.artifact_type = form->media_type,
		.subject = *subject,
		.blobs = &document,
		.blob_count = 1};
	if (!artifact_add(&adding->layout, &artifact, &entry, err))
		return error_while(err, "adding %s to the image", form->title);
	*out_digest = entry.digest;
	return true;
}

bool sbom_add(const struct image *image, const struct sbom_options *options,
	struct sbom_documents *out_documents, struct error *err)
{
	scoped(adding_free) struct adding adding = {0};
	struct layout_entry subject = {.digest = image->digest,
		.size_bytes = image->manifest_bytes,
		.media_type = MEDIA_TYPE_MANIFEST};
	struct sbom_documents documents;

	if (options->cache_folder)
		adding.cache = layer_cache_of(options->cache_folder);
	if (!layout_open(image->layout, &adding.layout, err) ||
		!sbom_begin(image, options, &adding.sbom, err) ||
		!add_document(&adding, &spdx_form, &subject, &documents.spdx, err) ||
		!add_document(&adding, &cyclonedx_form, &subject, &documents.cyclonedx, err))
		return error_while(err, "writing the bill of materials of \"%s:%s\"", image->layout,
			image->tag);
	*out_documents = documents;
	return true;
}
