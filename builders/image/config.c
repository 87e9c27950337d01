#include "builders/image/config.h"

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/descriptor.h"

#include <stdlib.h>

enum { BLOB_LIMIT = 10000 };

static void put_strings(struct json_writer *w, const char *key, const struct strings *list)
{
	if (!list || list->count == 0)
		return;
	json_put_strings(w, key, list);
}

static void put_labels(struct json_writer *w, const struct strings *labels)
{
	struct strings sorted = {0};

	if (!labels || labels->count == 0)
		return;
	for (size_t i = 0; i < labels->count; i++)
		strings_add(&sorted, labels->items[i]);
	strings_sort(&sorted);
	json_key(w, "Labels");
	json_object_begin(w);
	for (size_t i = 0; i < sorted.count; i++) {
		struct str value = str_of(sorted.items[i]);
		struct str key = str_cut(&value, '=');
		scoped(text_free) char *name = str_copy(key);
		json_put_str(w, name, value);
	}
	json_object_end(w);
	strings_free(&sorted);
}

void config_put_created(struct json_writer *w, int64_t created_s)
{
	char text[TIME_TEXT_SIZE];

	time_to_rfc3339(created_s * 1000, text);
	char *dot = strchr(text, '.');
	if (dot)
		memcpy(dot, "Z", 2);
	json_put_text(w, "created", text);
}

static void put_run_config(struct json_writer *w, const struct image_config *config)
{
	json_key(w, "config");
	json_object_begin(w);
	json_put_text(w, "User", config->user);
	if (config->port > 0) {
		json_key(w, "ExposedPorts");
		json_object_begin(w);
		char port[32];
		snprintf(port, sizeof(port), "%lld/tcp", (long long)config->port);
		json_key(w, port);
		json_object_begin(w);
		json_object_end(w);
		json_object_end(w);
	}
	put_strings(w, "Env", config->env);
	json_key(w, "Entrypoint");
	json_array_begin(w);
	json_write_text(w, config->entrypoint);
	json_array_end(w);
	put_strings(w, "Cmd", config->args);
	json_put_text(w, "WorkingDir", "/");
	put_labels(w, config->labels);
	json_object_end(w);
}

/* "dogshore image build: libraries libssl3 zlib1g" */
static void write_history(const struct layer *layer, struct buf *out)
{
	buf_clear(out);
	buf_printf(out, "dogshore image build: %s", layer_kind_name(layer->kind));
	for (size_t i = 0; layer->kind == LAYER_LIBRARIES && i < layer->packages.count; i++)
		buf_printf(out, " %s", layer->packages.items[i]);
}

void config_write(const struct image_config *config, const struct layer *layers, size_t count,
	struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	scoped(buf_free) struct buf text = {0};

	json_object_begin(&w);
	config_put_created(&w, config->created_s);
	json_put_text(&w, "architecture", config->architecture);
	json_put_text(&w, "os", "linux");
	put_run_config(&w, config);
	json_key(&w, "rootfs");
	json_object_begin(&w);
	json_put_text(&w, "type", "layers");
	json_key(&w, "diff_ids");
	json_array_begin(&w);
	for (size_t i = 0; i < count; i++)
		descriptor_write_digest(&w, &layers[i].packed.diff_id);
	json_array_end(&w);
	json_object_end(&w);
	json_key(&w, "history");
	json_array_begin(&w);
	for (size_t i = 0; i < count; i++) {
		json_object_begin(&w);
		config_put_created(&w, config->created_s);
		json_key(&w, "created_by");
		write_history(&layers[i], &text);
		json_write_str(&w, buf_str(&text));
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
}

static void put_descriptor(struct json_writer *w, const char *media_type,
	const struct digest *digest, int64_t size)
{
	json_object_begin(w);
	descriptor_put(w, media_type, digest, size);
	json_object_end(w);
}

void manifest_write(const struct digest *config_digest, int64_t config_size,
	const struct layer *layers, size_t count, struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", MEDIA_TYPE_MANIFEST);
	json_key(&w, "config");
	put_descriptor(&w, MEDIA_TYPE_CONFIG, config_digest, config_size);
	json_key(&w, "layers");
	json_array_begin(&w);
	for (size_t i = 0; i < count; i++)
		put_descriptor(&w, compression_media_type(layers[i].compression),
			&layers[i].packed.digest, layers[i].packed.size_bytes);
	json_array_end(&w);
	json_object_end(&w);
}

char *platform_text(const char *os, const char *architecture, const char *variant)
{
	bool more = variant && *variant;

	return memory_format("%s/%s%s%s", os, architecture, more ? "/" : "", more ? variant : "");
}

void manifest_free(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++) {
		free(manifest->items[i].media_type);
		free(manifest->items[i].platform);
	}
	free(manifest->items);
	free(manifest->config.media_type);
	free(manifest->config.platform);
	free(manifest->media_type);
	*manifest = (struct manifest){0};
}

static bool parse_descriptor(const struct json *value, const char *part, const char *what,
	struct blob_name *out, struct error *err)
{
	const struct json *size = json_get(value, "size");

	if (!digest_parse(json_str(json_get(value, "digest")), &out->digest)) {
		error_raise(err, ERROR_INVALID, "%s: %s has no sha256 digest but \"%.80s\"", what,
			part, json_get_text(value, "digest", ""));
		return false;
	}
	if (json_kind(size) != JSON_INT || json_int(size, -1) < 0)
		return error_raise(err, ERROR_INVALID, "%s: %s has no size", what, part);
	out->size_bytes = json_int(size, 0);
	out->media_type = memory_copy_text(json_get_text(value, "mediaType", ""));
	const struct json *platform = json_get(value, "platform");
	if (json_is_object(platform))
		out->platform = platform_text(json_get_text(platform, "os", "unknown"),
			json_get_text(platform, "architecture", "unknown"),
			json_get_text(platform, "variant", ""));
	return true;
}

static bool parse_items(const struct json *list, const char *part, const char *what,
	struct manifest *manifest, struct error *err)
{
	size_t count = json_count(list);

	if (!json_is_array(list))
		return error_raise(err, ERROR_INVALID, "%s has no list of %ss", what, part);
	if (count > BLOB_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s names %zu %ss, more than %d", what, count,
			part, BLOB_LIMIT);
	manifest->items = memory_new_array(count, sizeof(manifest->items[0]));
	for (size_t i = 0; i < count; i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s %zu", part, i + 1);
		if (!parse_descriptor(json_at(list, i), name, what, &manifest->items[i], err))
			return false;
		manifest->count++;
	}
	return true;
}

static bool parse_media_type(const struct json *value, const char *media_type, const char *what,
	struct manifest *manifest, struct error *err)
{
	const char *own = json_get_text(value, "mediaType", "");

	/* A registry's Content-Type may carry parameters. */
	struct str said = str_of(media_type);
	said = str_trim(str_cut(&said, ';'));
	if (own[0] && said.size > 0 && !str_equal_text(said, own))
		return error_raise(err, ERROR_INVALID,
			"%s calls itself \"%s\" but was sent as \"%.*s\"", what, own,
			str_args(said));
	if (said.size == 0)
		said = str_of(own);
	if (said.size == 0)
		said = str_of(
			json_get(value, "manifests") ? MEDIA_TYPE_INDEX : MEDIA_TYPE_MANIFEST);
	manifest->is_index = str_equal_text(said, MEDIA_TYPE_INDEX) ||
			     str_equal_text(said, MEDIA_TYPE_DOCKER_LIST);
	if (!manifest->is_index && !str_equal_text(said, MEDIA_TYPE_MANIFEST) &&
		!str_equal_text(said, MEDIA_TYPE_DOCKER_MANIFEST))
		return error_raise(err, ERROR_INVALID, "%s is of the unknown kind \"%.*s\"", what,
			str_args(said));
	manifest->media_type = str_copy(said);
	return true;
}

/* Whoever made it is the one to ask. */
static bool advise(struct error *err)
{
	return error_next(err, "it is damaged, or no image: build and push it again");
}

static bool read_manifest(struct str text, const char *media_type, const char *what,
	struct manifest *out_manifest, struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(manifest_free) struct manifest manifest = {0};

	if (!json_parse(text, what, &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &value,
		    err))
		return false;
	if (json_get_int(value, "schemaVersion", 0) == 1) {
		error_raise(err, ERROR_INVALID,
			"%s is of schema version 1, which registries have given up", what);
		return error_next(err, "whoever made the image must push it anew with a tool of "
				       "this decade");
	}
	if (json_get_int(value, "schemaVersion", 0) != 2)
		return error_raise(err, ERROR_INVALID,
			"%s is no image manifest of schema version 2", what);
	if (!parse_media_type(value, media_type, what, &manifest, err))
		return false;
	if (manifest.is_index) {
		if (!parse_items(json_get(value, "manifests"), "manifest", what, &manifest, err))
			return false;
	} else if (!parse_descriptor(json_get(value, "config"), "its configuration", what,
			   &manifest.config, err) ||
		   !parse_items(json_get(value, "layers"), "layer", what, &manifest, err)) {
		return false;
	}
	*out_manifest = manifest;
	manifest = (struct manifest){0};
	return true;
}

bool manifest_parse(struct str text, const char *media_type, const char *what,
	struct manifest *out_manifest, struct error *err)
{
	return read_manifest(text, media_type, what, out_manifest, err) || advise(err);
}

void image_facts_free(struct image_facts *facts)
{
	free(facts->architecture);
	free(facts->os);
	free(facts->variant);
	free(facts->user);
	free(facts->created);
	strings_free(&facts->entrypoint);
	strings_free(&facts->args);
	strings_free(&facts->env);
	strings_free(&facts->labels);
	strings_free(&facts->ports);
	free(facts->diff_ids);
	*facts = (struct image_facts){0};
}

static void take_strings(const struct json *list, struct strings *out)
{
	for (size_t i = 0; json_is_array(list) && i < json_count(list); i++)
		if (json_is_text(json_at(list, i)))
			strings_add(out, json_text(json_at(list, i), ""));
}

static bool read_config(struct str text, const char *what, struct image_facts *out_facts,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(image_facts_free) struct image_facts facts = {0};

	if (!json_parse(text, what, NULL, &value, err))
		return false;
	if (!json_is_object(value))
		return error_raise(err, ERROR_INVALID, "%s is no JSON object", what);
	const struct json *run = json_get(value, "config");
	const struct json *ids = json_get(json_get(value, "rootfs"), "diff_ids");
	facts.architecture = memory_copy_text(json_get_text(value, "architecture", ""));
	facts.os = memory_copy_text(json_get_text(value, "os", ""));
	facts.variant = memory_copy_text(json_get_text(value, "variant", ""));
	facts.created = memory_copy_text(json_get_text(value, "created", ""));
	facts.user = memory_copy_text(json_get_text(run, "User", ""));
	take_strings(json_get(run, "Entrypoint"), &facts.entrypoint);
	take_strings(json_get(run, "Cmd"), &facts.args);
	take_strings(json_get(run, "Env"), &facts.env);
	for (json_each(label, json_get(run, "Labels")))
		strings_printf(&facts.labels, "%s=%s", label.key, json_text(label.value, ""));
	for (json_each(port, json_get(run, "ExposedPorts")))
		strings_add(&facts.ports, port.key);
	if (json_is_array(ids) && json_count(ids) > BLOB_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s names more than %d layers", what,
			BLOB_LIMIT);
	facts.diff_ids = memory_new_array(json_count(ids) + 1, sizeof(facts.diff_ids[0]));
	for (size_t i = 0; json_is_array(ids) && i < json_count(ids); i++)
		if (!digest_parse(json_str(json_at(ids, i)),
			    &facts.diff_ids[facts.diff_id_count++]))
			return error_raise(err, ERROR_INVALID,
				"%s: the diff_id of layer %zu is no sha256 digest", what, i + 1);
	*out_facts = facts;
	facts = (struct image_facts){0};
	return true;
}

bool config_parse(struct str text, const char *what, struct image_facts *out_facts,
	struct error *err)
{
	return read_config(text, what, out_facts, err) || advise(err);
}
