#include "builders/registry/base_fetch.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

enum { CONFIG_LIMIT = 4 << 20 };

static bool is_layout(const char *text)
{
	scoped(text_free) char *path = NULL, *tag = NULL, *version = NULL;
	struct error ignored = {0};

	if (text_starts_with(text, "oci:"))
		return true;
	if (!layout_reference_parse(text, &path, &tag, &ignored)) {
		error_ignore(&ignored, "then it is a reference, or the error of that is told");
		return false;
	}
	version = path_join(path, "oci-layout");
	return file_exists(version);
}

static bool take_documents(struct str manifest, const char *media_type, const struct layout *layout,
	const struct digest *digest, struct base_image *out_base, struct error *err)
{
	scoped(manifest_free) struct manifest parsed = {0};
	scoped(buf_free) struct buf config = {0};

	return manifest_parse(manifest, media_type, "its manifest", &parsed, err) &&
	       layout_read_blob(layout, &parsed.config.digest, CONFIG_LIMIT, &config, err) &&
	       base_image_of(manifest, media_type, buf_str(&config), digest, out_base, err);
}

static bool read_layout(const char *text, const char *architecture, struct base_image *out_base,
	struct error *err)
{
	scoped(text_free) char *path = NULL, *tag = NULL;
	scoped(layout_free) struct layout layout = {0};
	scoped(manifest_free) struct manifest parsed = {0};
	scoped(buf_free) struct buf manifest = {0}, child = {0};
	struct layout_entry entry;
	struct digest picked;

	if (!layout_reference_parse(text, &path, &tag, err) || !layout_open(path, &layout, err) ||
		!layout_find_tag(&layout, tag, &entry, err) ||
		!layout_read_blob(&layout, &entry.digest, MANIFEST_LIMIT, &manifest, err) ||
		!manifest_parse(buf_str(&manifest), NULL, "its manifest", &parsed, err))
		return false;
	picked = entry.digest;
	if (parsed.is_index &&
		(!base_image_pick(buf_str(&manifest), architecture, &picked, err) ||
			!layout_read_blob(&layout, &picked, MANIFEST_LIMIT, &child, err)))
		return false;
	if (!take_documents(buf_str(parsed.is_index ? &child : &manifest), NULL, &layout, &picked,
		    out_base, err))
		return false;
	out_base->layout = path;
	path = NULL;
	return true;
}

/* The same place with the digest in place of the tag. */
static void place_at(const struct place *place, const struct digest *digest, struct place *out)
{
	out->reference.host = memory_copy_text(place->reference.host);
	out->reference.repository = memory_copy_text(place->reference.repository);
	out->reference.has_digest = true;
	out->reference.digest = *digest;
}

static bool read_registry(const char *text, const char *architecture,
	const struct push_options *options, struct base_image *out_base, struct error *err)
{
	scoped(place_free) struct place place = {0}, inner = {0};
	scoped(image_documents_free) struct image_documents documents = {0};
	struct digest picked;

	if (!place_parse(text, &place, err) ||
		!copy_read_documents(&place, options, &documents, err))
		return false;
	if (documents.parsed.is_index) {
		if (!base_image_pick(buf_str(&documents.manifest), architecture, &picked, err))
			return false;
		place_at(&place, &picked, &inner);
		image_documents_free(&documents);
		documents = (struct image_documents){0};
		if (!copy_read_documents(&inner, options, &documents, err))
			return false;
	}
	if (documents.parsed.is_index)
		return error_raise(err, ERROR_INVALID, "it is an index of indexes");
	if (!base_image_of(buf_str(&documents.manifest), documents.parsed.media_type,
		    buf_str(&documents.config), &documents.digest, out_base, err))
		return false;
	/* The tag says more to people than a digest, which has an annotation of its own. */
	place.reference.has_digest = place.reference.has_digest && !place.reference.tag;
	out_base->name = reference_text(&place.reference);
	return true;
}

bool base_fetch(const char *text, const char *architecture, const struct push_options *options,
	struct base_image *out_base, struct error *err)
{
	struct base_image base = {0};
	bool local = is_layout(text);
	const char *path = text_starts_with(text, "oci:") ? text + strlen("oci:") : text;

	if (local ? !read_layout(path, architecture, &base, err)
		  : !read_registry(text, architecture, options, &base, err))
		return error_while(err, "reading the base image \"%s\"", text);
	base.source = memory_copy_text(text);
	*out_base = base;
	return true;
}

static bool fetch_layer(struct session *session, const struct layout *layout,
	const struct blob_name *blob, struct error *err)
{
	scoped(layout_blob_discard) struct layout_blob file = {0};

	return layout_has_blob(layout, &blob->digest, blob->size_bytes) ||
	       (layout_blob_create(layout, &file, err) &&
		       registry_fetch_blob(session, &blob->digest, blob->size_bytes, file.fd,
			       err) &&
		       layout_blob_commit(layout, &file, &blob->digest, err));
}

bool base_fetch_layers(const struct base_image *base, const char *layout_path,
	const struct push_options *options, struct error *err)
{
	scoped(layout_free) struct layout layout = {0};
	scoped(reference_free) struct reference reference = {0};
	scoped(session_close) struct session *session = NULL;

	if (!base->name)
		return true;
	if (!layout_open(layout_path, &layout, err) ||
		!reference_parse(base->name, &reference, err) ||
		!session_open(&reference,
			&(struct session_options){.plain_http = options->plain_http,
				.kept_folder = options->kept_folder,
				.clock = options->clock},
			&session, err))
		return false;
	for (size_t i = 0; i < base->manifest.count; i++)
		if (!fetch_layer(session, &layout, &base->manifest.items[i], err))
			return error_while(err, "fetching layer %zu of %zu of the base \"%s\"",
				i + 1, base->manifest.count, base->name);
	return true;
}
