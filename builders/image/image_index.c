#include "builders/image/image_index.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/base_image.h"
#include "builders/image/descriptor.h"

#include <stdlib.h>

enum { PART_LIMIT = 64, CONFIG_LIMIT = 4 << 20 };

void image_index_free(struct image_index *index)
{
	for (size_t i = 0; i < index->count; i++) {
		free(index->parts[i].media_type);
		free(index->parts[i].os);
		free(index->parts[i].architecture);
		free(index->parts[i].variant);
		free(index->parts[i].source);
	}
	free(index->parts);
	free(index->layout);
	free(index->tag);
	*index = (struct image_index){0};
}

/* What the configuration says that the image runs on. */
static bool read_platform(const struct layout *from, const struct digest *config,
	struct index_part *part, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(image_facts_free) struct image_facts facts = {0};

	if (!layout_read_blob(from, config, CONFIG_LIMIT, &text, err) ||
		!config_parse(buf_str(&text), "its configuration", &facts, err))
		return false;
	if (!facts.os[0] || !facts.architecture[0])
		return error_raise(err, ERROR_INVALID,
			"its configuration does not say for which platform it is");
	part->os = memory_copy_text(facts.os);
	part->architecture = memory_copy_text(facts.architecture);
	part->variant = memory_copy_text(facts.variant);
	return true;
}

/* Brings what the manifest names into the layout; within one layout it only looks that it is there.
 * What an image leaves in its base's registry (base_image.h) stays there. */
static bool take_blobs(const struct layout *to, const struct layout *from,
	const struct manifest *manifest, bool has_base, struct error *err)
{
	for (size_t i = 0; i < manifest->count; i++)
		if (!(has_base && !layout_has_blob(from, &manifest->items[i].digest,
					  manifest->items[i].size_bytes)) &&
			!layout_take_blob(to, from, &manifest->items[i].digest,
				manifest->items[i].size_bytes, err))
			return error_while(err, "bringing layer %zu of %zu along", i + 1,
				manifest->count);
	return layout_take_blob(to, from, &manifest->config.digest, manifest->config.size_bytes,
		err);
}

static bool raise_nested(const char *source, struct error *err)
{
	error_raise(err, ERROR_USAGE, "\"%s\" is an index itself", source);
	return error_next(err, "name the images that it is made of");
}

static bool add_from(const struct layout *to, const struct layout *from, const char *tag,
	struct index_part *part, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(manifest_free) struct manifest manifest = {0};
	struct layout_entry entry;

	if (!layout_find_tag(from, tag, &entry, err) ||
		!layout_read_blob(from, &entry.digest, MANIFEST_LIMIT, &text, err) ||
		!manifest_parse(buf_str(&text), NULL, "its manifest", &manifest, err))
		return false;
	if (manifest.is_index)
		return raise_nested(part->source, err);
	scoped(text_free) char *base = manifest_base_name(buf_str(&text));
	part->digest = entry.digest;
	part->size_bytes = (int64_t)text.size;
	part->media_type = memory_copy_text(manifest.media_type);
	return read_platform(from, &manifest.config.digest, part, err) &&
	       take_blobs(to, from, &manifest, base != NULL, err) &&
	       layout_take_blob(to, from, &entry.digest, part->size_bytes, err);
}

static bool add_part(const struct layout *to, const char *source, struct image_index *index,
	struct error *err)
{
	scoped(text_free) char *path = NULL, *tag = NULL;
	scoped(layout_free) struct layout from = {0};
	struct index_part *part = &index->parts[index->count++];

	part->source = memory_copy_text(source);
	return (layout_reference_parse(source, &path, &tag, err) && layout_open(path, &from, err) &&
		       add_from(to, &from, tag, part, err)) ||
	       error_while(err, "adding the image \"%s\" to an index", source);
}

static int by_platform(const void *a, const void *b)
{
	const struct index_part *x = a, *y = b;
	int order = strcmp(x->os, y->os);

	if (order == 0)
		order = strcmp(x->architecture, y->architecture);
	return order ? order : strcmp(x->variant, y->variant);
}

static bool sort_parts(struct image_index *index, struct error *err)
{
	qsort(index->parts, index->count, sizeof(index->parts[0]), by_platform);
	for (size_t i = 1; i < index->count; i++) {
		const struct index_part *a = &index->parts[i - 1], *b = &index->parts[i];

		if (by_platform(a, b) != 0)
			continue;
		scoped(text_free) char *platform =
			platform_text(a->os, a->architecture, a->variant);
		error_raise(err, ERROR_USAGE, "both \"%s\" and \"%s\" are for %s", a->source,
			b->source, platform);
		return error_next(err, "name one image for each platform");
	}
	return true;
}

static void put_part(struct json_writer *w, const struct index_part *part)
{
	json_object_begin(w);
	descriptor_put(w, part->media_type, &part->digest, part->size_bytes);
	json_key(w, "platform");
	json_object_begin(w);
	json_put_text(w, "architecture", part->architecture);
	json_put_text(w, "os", part->os);
	if (part->variant[0])
		json_put_text(w, "variant", part->variant);
	json_object_end(w);
	json_object_end(w);
}

static bool write_index(const struct layout *layout, struct image_index *index, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct json_writer w = json_writer_start(&text);
	struct layout_entry entry = {.media_type = MEDIA_TYPE_INDEX};

	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", MEDIA_TYPE_INDEX);
	json_key(&w, "manifests");
	json_array_begin(&w);
	for (size_t i = 0; i < index->count; i++)
		put_part(&w, &index->parts[i]);
	json_array_end(&w);
	json_object_end(&w);
	if (!layout_write_blob(layout, buf_str(&text), &index->digest, err))
		return false;
	index->size_bytes = (int64_t)text.size;
	entry.digest = index->digest;
	entry.size_bytes = index->size_bytes;
	return layout_set_tag(layout, index->tag, &entry, NULL, err);
}

bool image_index_build(const struct strings *sources, const char *output,
	struct image_index *out_index, struct error *err)
{
	scoped(image_index_free) struct image_index index = {0};
	scoped(layout_free) struct layout layout = {0};

	if (sources->count > PART_LIMIT)
		return error_raise(err, ERROR_USAGE,
			"an index holds at most %d images here, not %zu", PART_LIMIT,
			sources->count);
	if (!layout_reference_parse(output, &index.layout, &index.tag, err) ||
		!layout_create(index.layout, &layout, err))
		return false;
	index.parts = memory_new_array(sources->count, sizeof(index.parts[0]));
	for (size_t i = 0; i < sources->count; i++)
		if (!add_part(&layout, sources->items[i], &index, err))
			return false;
	if (!sort_parts(&index, err) || !write_index(&layout, &index, err))
		return error_while(err, "writing the index \"%s\"", output);
	*out_index = index;
	index = (struct image_index){0};
	return true;
}

void image_index_write_json(const struct image_index *index, struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "stage", "image index");
	json_put_text(&w, "status", "done");
	descriptor_put_digest(&w, "digest", &index->digest);
	json_put_int(&w, "size", index->size_bytes);
	json_put_text(&w, "layout", index->layout);
	json_put_text(&w, "tag", index->tag);
	json_key(&w, "manifests");
	json_array_begin(&w);
	for (size_t i = 0; i < index->count; i++) {
		const struct index_part *part = &index->parts[i];
		scoped(text_free) char *platform =
			platform_text(part->os, part->architecture, part->variant);

		json_object_begin(&w);
		descriptor_put_digest(&w, "digest", &part->digest);
		json_put_int(&w, "size", part->size_bytes);
		json_put_text(&w, "platform", platform);
		json_put_text(&w, "source", part->source);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
}
