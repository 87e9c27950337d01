#include "builders/image/base_swap.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>

void swapped_free(struct swapped *swapped)
{
	buf_free(&swapped->config);
	buf_free(&swapped->manifest);
	*swapped = (struct swapped){0};
}

static bool check_stands_on(const struct base_image *image, const struct base_image *old,
	struct error *err)
{
	size_t count = old->facts.diff_id_count;

	for (size_t i = 0; i < count; i++) {
		if (i < image->facts.diff_id_count &&
			digest_equal(&image->facts.diff_ids[i], &old->facts.diff_ids[i]))
			continue;
		error_raise(err, ERROR_USAGE,
			"the image \"%s\" does not stand on \"%s\": its layer %zu is another",
			image->source, old->source, i + 1);
		return error_next(err, "name the base that it was built on with --from");
	}
	return true;
}

static bool has_item(const struct json *list, const struct json *item)
{
	for (size_t i = 0; json_is_array(list) && i < json_count(list); i++)
		if (json_equal(json_at(list, i), item))
			return true;
	return false;
}

/* "NAME" of "NAME=value" in the list: is there one? */
static bool has_name(const struct json *list, const char *pair)
{
	const char *equals = strchr(pair, '=');
	size_t size = equals ? (size_t)(equals - pair) + 1 : strlen(pair);

	for (size_t i = 0; i < json_count(list); i++)
		if (strncmp(json_text(json_at(list, i), ""), pair, size) == 0)
			return true;
	return false;
}

/* The new base's variables, then ours: those that the old base did not have just so. */
static struct json *swap_env(const struct json *image, const struct json *old,
	const struct json *onto)
{
	struct json *ours = json_array_new(), *list = json_array_new();

	for (size_t i = 0; json_is_array(image) && i < json_count(image); i++)
		if (!has_item(old, json_at(image, i)))
			json_append(ours, json_copy(json_at(image, i)));
	for (size_t i = 0; json_is_array(onto) && i < json_count(onto); i++)
		if (!has_name(ours, json_text(json_at(onto, i), "")))
			json_append(list, json_copy(json_at(onto, i)));
	for (size_t i = 0; i < json_count(ours); i++)
		json_append(list, json_copy(json_at(ours, i)));
	json_free(&ours);
	return list;
}

static struct json *swap_members(const struct json *image, const struct json *old,
	const struct json *onto)
{
	struct json *all = json_object_new();

	for (json_each(theirs, onto))
		json_set(all, theirs.key, json_copy(theirs.value));
	for (json_each(member, image))
		if (!json_equal(json_get(old, member.key), member.value))
			json_set(all, member.key, json_copy(member.value));
	return all;
}

/* The members of "config" that are sets; one of them is swapped element by element. */
static bool is_set(const char *key)
{
	return text_equal(key, "Labels") || text_equal(key, "ExposedPorts") ||
	       text_equal(key, "Volumes");
}

static struct json *swap_run(const struct json *image, const struct json *old,
	const struct json *onto)
{
	struct json *run = json_object_new();

	/* What the old base had and the image has just so is the new base's affair. */
	for (json_each(theirs, onto))
		if (json_equal(json_get(image, theirs.key), json_get(old, theirs.key)))
			json_set(run, theirs.key, json_copy(theirs.value));
	for (json_each(member, image)) {
		const struct json *was = json_get(old, member.key),
				  *is = json_get(onto, member.key);

		if (text_equal(member.key, "Env"))
			json_set(run, "Env", swap_env(member.value, was, is));
		else if (is_set(member.key))
			json_set(run, member.key, swap_members(member.value, was, is));
		else if (!json_equal(was, member.value))
			json_set(run, member.key, json_copy(member.value));
	}
	return run;
}

static void append_all(struct json *list, const struct json *from, size_t first, size_t count)
{
	for (size_t i = first; i < count; i++)
		json_append(list, json_copy(json_at(from, i)));
}

/* Those of one part of an image; a line for each layer when its history tells of another number. */
static void append_history(struct json *list, const struct json *history, size_t first_layer,
	size_t layers)
{
	size_t first = first_layer ? history_length(history, first_layer) : 0;
	size_t last = history_length(history, first_layer + layers);

	if (last > 0 && (first_layer == 0 || first > 0)) {
		append_all(list, history, first, last);
		return;
	}
	for (size_t i = 0; i < layers; i++)
		json_append(list, json_object_of("created_by", json_text_new("unknown"), NULL));
}

static void write_config(const struct base_image *image, const struct base_image *old,
	const struct base_image *onto, struct buf *out)
{
	size_t below = old->facts.diff_id_count, base = onto->facts.diff_id_count;
	size_t own = image->facts.diff_id_count - below;
	struct digest *diff_ids = memory_new_array(base + own + 1, sizeof(*diff_ids));
	scoped(json_free) struct json *history = json_array_new();
	scoped(json_free) struct json *config = json_copy(image->config);
	int64_t created_ms = 0;

	memcpy(diff_ids, onto->facts.diff_ids, base * sizeof(*diff_ids));
	memcpy(diff_ids + base, image->facts.diff_ids + below, own * sizeof(*diff_ids));
	append_history(history, json_get(onto->config, "history"), 0, base);
	append_history(history, json_get(image->config, "history"), below, own);
	json_set(config, "config",
		swap_run(json_get(image->config, "config"), json_get(old->config, "config"),
			json_get(onto->config, "config")));
	if (!time_of_rfc3339(str_of(image->facts.created), &created_ms))
		created_ms = 0;
	config_rewrite(config,
		&(struct config_changes){.created_s = created_ms / 1000,
			.diff_ids = diff_ids,
			.diff_id_count = base + own,
			.history = history},
		out);
	free(diff_ids);
}

static void write_manifest(const struct base_image *image, const struct base_image *old,
	const struct base_image *onto, const struct swapped *swapped, struct buf *out)
{
	size_t below = old->manifest.count, base = onto->manifest.count;
	size_t own = image->manifest.count - below;
	char config_type[] = MEDIA_TYPE_CONFIG, digest[DIGEST_TEXT_SIZE];
	struct blob_name config = {swapped->config_digest, (int64_t)swapped->config.size,
		config_type};
	struct blob_name *all = memory_new_array(base + own + 1, sizeof(*all));
	scoped(json_free) struct json *annotations =
		image->annotations ? json_copy(image->annotations) : json_object_new();

	for (size_t i = 0; i < base + own; i++) {
		all[i] = i < base ? onto->manifest.items[i]
				  : image->manifest.items[below + i - base];
		/* Both were checked to have one. The copy is for the type: names are not const. */
		all[i].media_type = memory_copy_text(layer_media_type(all[i].media_type));
	}
	digest_to_text(&onto->digest, digest);
	json_set_text(annotations, ANNOTATION_BASE_DIGEST, digest);
	json_remove(annotations, ANNOTATION_BASE_NAME);
	if (onto->name)
		json_set_text(annotations, ANNOTATION_BASE_NAME, onto->name);
	manifest_write_blobs(&config, all, base + own, annotations, out);
	for (size_t i = 0; i < base + own; i++)
		free(all[i].media_type);
	free(all);
}

bool base_swap(const struct base_image *image, const struct base_image *old,
	const struct base_image *onto, struct swapped *out_swapped, struct error *err)
{
	struct swapped swapped = {0};

	if (!check_stands_on(image, old, err) ||
		!base_image_check(onto, image->facts.architecture,
			image->manifest.count - old->manifest.count, err))
		return false;
	write_config(image, old, onto, &swapped.config);
	swapped.config_digest = digest_of_str(buf_str(&swapped.config));
	write_manifest(image, old, onto, &swapped, &swapped.manifest);
	swapped.digest = digest_of_str(buf_str(&swapped.manifest));
	*out_swapped = swapped;
	return true;
}
