#include "builders/image/base_image.h"

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/descriptor.h"

#include <stdlib.h>

void base_image_free(struct base_image *base)
{
	free(base->source);
	free(base->name);
	free(base->layout);
	manifest_free(&base->manifest);
	image_facts_free(&base->facts);
	json_free(&base->config);
	json_free(&base->annotations);
	*base = (struct base_image){0};
}

struct media_row {
	const char *theirs, *ours;
};

static const struct media_row media_rows[] = {
	{"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar"},
	{"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+gzip"},
	{"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.oci.image.layer.v1.tar+zstd"},
	{"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.oci.image.layer.v1.tar+gzip"},
	{"application/vnd.docker.image.rootfs.diff.tar.zstd",
		"application/vnd.oci.image.layer.v1.tar+zstd"},
};

const char *layer_media_type(const char *media_type)
{
	for (size_t i = 0; i < countof(media_rows); i++)
		if (text_equal(media_rows[i].theirs, media_type))
			return media_rows[i].ours;
	return NULL;
}

static bool check_layers(const struct manifest *manifest, struct error *err)
{
	for (size_t i = 0; i < manifest->count; i++) {
		const char *type = manifest->items[i].media_type;

		if (layer_media_type(type))
			continue;
		if (strstr(type, "nondistributable") || strstr(type, ".foreign.")) {
			error_raise(err, ERROR_INVALID,
				"its layer %zu of %zu may not be distributed (%s)", i + 1,
				manifest->count, type);
			return error_next(err, "no registry may hold such a layer: take another "
					       "base");
		}
		return error_raise(err, ERROR_INVALID,
			"its layer %zu of %zu is of the unknown kind "
			"\"%.100s\"",
			i + 1, manifest->count, type);
	}
	return true;
}

static bool read_annotations(struct str manifest, struct base_image *base, struct error *err)
{
	scoped(json_free) struct json *value = NULL;

	if (!json_parse(manifest, "its manifest",
		    &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &value, err))
		return false;
	if (json_is_object(json_get(value, "annotations")))
		base->annotations = json_copy(json_get(value, "annotations"));
	return true;
}

bool base_image_of(struct str manifest, const char *media_type, struct str config,
	const struct digest *digest, struct base_image *out_base, struct error *err)
{
	scoped(base_image_free) struct base_image base = {.digest = *digest};

	if (!manifest_parse(manifest, media_type, "its manifest", &base.manifest, err) ||
		!config_parse(config, "its configuration", &base.facts, err) ||
		!json_parse(config, "its configuration", NULL, &base.config, err) ||
		!check_layers(&base.manifest, err))
		return false;
	if (!read_annotations(manifest, &base, err))
		return false;
	if (base.facts.diff_id_count != base.manifest.count)
		return error_raise(err, ERROR_INVALID,
			"its manifest names %zu layers, its configuration %zu", base.manifest.count,
			base.facts.diff_id_count);
	*out_base = base;
	base = (struct base_image){0};
	return true;
}

bool base_image_pick(struct str index, const char *architecture, struct digest *out_digest,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(buf_free) struct buf others = {0};

	if (!json_parse(index, "the index", &(struct json_limits){.size_bytes = MANIFEST_LIMIT},
		    &value, err))
		return false;
	const struct json *manifests = json_get(value, "manifests");
	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json *item = json_at(manifests, i);
		const struct json *platform = json_get(item, "platform");
		const char *os = json_get_text(platform, "os", "unknown");
		const char *its = json_get_text(platform, "architecture", "unknown");

		if (text_equal(os, "linux") && text_equal(its, architecture))
			return digest_parse(json_str(json_get(item, "digest")), out_digest) ||
			       error_raise(err, ERROR_INVALID,
				       "manifest %zu of the index has no sha256 digest", i + 1);
		/* Attestations of buildkit stand in the index as unknown/unknown. */
		if (!text_equal(os, "unknown"))
			buf_printf(&others, "%s%s/%s", others.size ? ", " : "", os, its);
	}
	error_raise(err, ERROR_NOT_FOUND, "it is an index without an image for linux/%s",
		architecture);
	return error_next(err, "it has: %s", others.size ? buf_text(&others) : "none");
}

bool base_image_check(const struct base_image *base, const char *architecture, size_t own,
	struct error *err)
{
	const struct image_facts *facts = &base->facts;

	if (!text_equal(facts->os, "linux") || !text_equal(facts->architecture, architecture)) {
		error_raise(err, ERROR_USAGE,
			"the base \"%s\" is for %s/%s, the image for linux/%s", base->source,
			facts->os, facts->architecture, architecture);
		return error_next(err, "name a base for linux/%s, or --platform", architecture);
	}
	if (base->manifest.count + own <= BASE_LAYER_LIMIT)
		return true;
	error_raise(err, ERROR_LIMIT,
		"the base \"%s\" has %zu layers; with %zu more they are over the %d that runtimes "
		"stack",
		base->source, base->manifest.count, own, BASE_LAYER_LIMIT);
	return error_next(err, "build the base with fewer layers: dogshore image build "
			       "--dockerfile FILE --squash");
}

bool base_image_take(const struct base_image *base, const struct layout *layout,
	int64_t *size_bytes, struct error *err)
{
	scoped(layout_free) struct layout from = {0};

	for (size_t i = 0; i < base->manifest.count; i++)
		*size_bytes += base->manifest.items[i].size_bytes;
	if (!base->layout)
		return true;
	if (!layout_open(base->layout, &from, err))
		return false;
	for (size_t i = 0; i < base->manifest.count; i++)
		if (!layout_take_blob(layout, &from, &base->manifest.items[i].digest,
			    base->manifest.items[i].size_bytes, err))
			return error_while(err, "bringing layer %zu of the base along", i + 1);
	return true;
}

size_t history_length(const struct json *history, size_t layers)
{
	size_t seen = 0, length = 0;

	for (size_t i = 0; json_is_array(history) && i < json_count(history); i++) {
		bool has_layer = !json_get_bool(json_at(history, i), "empty_layer", false);

		if (has_layer && seen == layers)
			break;
		seen += has_layer;
		length = i + 1;
	}
	return seen == layers ? length : 0;
}

/* The base's history, or, when it does not fit its layers, a line for each. Owned. */
static struct json *history_of(const struct base_image *base)
{
	const struct json *history = json_get(base->config, "history");
	struct json *list = json_array_new();

	if (history_length(history, base->manifest.count) == json_count(history) &&
		json_count(history) > 0) {
		for (size_t i = 0; i < json_count(history); i++)
			json_append(list, json_copy(json_at(history, i)));
		return list;
	}
	for (size_t i = 0; i < base->manifest.count; i++)
		json_append(list, json_object_of("created_by", json_text_new("unknown"), NULL));
	return list;
}

static void add_history(struct json *history, const struct layer *layer, int64_t created_s)
{
	char created[TIME_TEXT_SIZE];

	time_to_rfc3339(created_s * 1000, created);
	char *dot = strchr(created, '.');
	if (dot)
		memcpy(dot, "Z", 2);
	json_append(history,
		json_object_of("created", json_text_new(created), "created_by",
			json_text_format("dogshore image build: %s", layer_kind_name(layer->kind)),
			NULL));
}

void base_image_write_config(const struct base_image *base, const struct config_changes *changes,
	const struct layer *layers, size_t count, struct buf *out)
{
	size_t below = base->facts.diff_id_count;
	struct digest *diff_ids = memory_new_array(below + count + 1, sizeof(*diff_ids));
	scoped(json_free) struct json *history = history_of(base);
	struct config_changes all = *changes;

	memcpy(diff_ids, base->facts.diff_ids, below * sizeof(*diff_ids));
	for (size_t i = 0; i < count; i++) {
		diff_ids[below + i] = layers[i].packed.diff_id;
		add_history(history, &layers[i], changes->created_s);
	}
	all.diff_ids = diff_ids;
	all.diff_id_count = below + count;
	all.history = history;
	config_rewrite(base->config, &all, out);
	free(diff_ids);
}

char *manifest_base_name(struct str manifest)
{
	scoped(json_free) struct json *value = NULL;
	struct error ignored = {0};

	if (!json_parse(manifest, "the manifest",
		    &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &value, &ignored)) {
		error_ignore(&ignored, "who needs the manifest parses it and says so");
		return NULL;
	}
	const char *name = json_get_text(json_get(value, "annotations"), ANNOTATION_BASE_NAME, "");
	return name[0] ? memory_copy_text(name) : NULL;
}

static void put_blob(struct json_writer *w, const struct blob_name *blob)
{
	json_object_begin(w);
	descriptor_put(w, blob->media_type, &blob->digest, blob->size_bytes);
	json_object_end(w);
}

static void put_annotations(struct json_writer *w, const struct json *annotations)
{
	scoped(strings_free) struct strings keys = {0};

	for (json_each(member, annotations))
		if (json_is_text(member.value))
			strings_add(&keys, member.key);
	if (keys.count == 0)
		return;
	strings_sort(&keys);
	json_key(w, "annotations");
	json_object_begin(w);
	for (size_t i = 0; i < keys.count; i++)
		json_put_text(w, keys.items[i], json_get_text(annotations, keys.items[i], ""));
	json_object_end(w);
}

void manifest_write_blobs(const struct blob_name *config, const struct blob_name *layers,
	size_t count, const struct json *annotations, struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", MEDIA_TYPE_MANIFEST);
	json_key(&w, "config");
	put_blob(&w, config);
	json_key(&w, "layers");
	json_array_begin(&w);
	for (size_t i = 0; i < count; i++)
		put_blob(&w, &layers[i]);
	json_array_end(&w);
	put_annotations(&w, annotations);
	json_object_end(&w);
}

void base_image_write_manifest(const struct base_image *base, const struct digest *config_digest,
	int64_t config_size, const struct layer *layers, size_t count, struct buf *out)
{
	size_t below = base->manifest.count;
	char config_type[] = MEDIA_TYPE_CONFIG, digest[DIGEST_TEXT_SIZE];
	struct blob_name config = {*config_digest, config_size, config_type};
	struct blob_name *all = memory_new_array(below + count + 1, sizeof(*all));
	scoped(json_free) struct json *annotations = json_object_new();

	/* The names are copied so that one rule frees them. */
	for (size_t i = 0; i < below + count; i++) {
		if (i < below)
			all[i] = base->manifest.items[i];
		else
			all[i] = (struct blob_name){.digest = layers[i - below].packed.digest,
				.size_bytes = layers[i - below].packed.size_bytes};
		all[i].media_type = memory_copy_text(
			i < below ? layer_media_type(base->manifest.items[i].media_type)
				  : compression_media_type(layers[i - below].compression));
	}
	digest_to_text(&base->digest, digest);
	json_set_text(annotations, ANNOTATION_BASE_DIGEST, digest);
	if (base->name)
		json_set_text(annotations, ANNOTATION_BASE_NAME, base->name);
	manifest_write_blobs(&config, all, below + count, annotations, out);
	for (size_t i = 0; i < below + count; i++)
		free(all[i].media_type);
	free(all);
}
