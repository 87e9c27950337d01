#include "builders/image/image_compare.h"

#include "base/memory.h"
#include "builders/image/config.h"

#include <fcntl.h>
#include <stdlib.h>

enum { CONFIG_LIMIT = 4 << 20 };

void image_difference_free(struct image_difference *difference)
{
	free(difference->where);
	free(difference->what);
	*difference = (struct image_difference){0};
}

/* One of the two images. */
struct image_side {
	const struct layout *layout;
	struct buf manifest_text, config_text;
	struct manifest manifest;
	struct image_facts facts;
	struct json *config; /* owned */
};

static void image_side_free(struct image_side *side)
{
	buf_free(&side->manifest_text);
	buf_free(&side->config_text);
	manifest_free(&side->manifest);
	image_facts_free(&side->facts);
	json_free(&side->config);
}

static bool read_side(const struct layout *layout, const struct digest *digest,
	struct image_side *out, struct error *err)
{
	out->layout = layout;
	if (!layout_read_blob(layout, digest, MANIFEST_LIMIT, &out->manifest_text, err) ||
		!manifest_parse(buf_str(&out->manifest_text), NULL, "the manifest", &out->manifest,
			err))
		return false;
	if (out->manifest.is_index) {
		error_raise(err, ERROR_USAGE, "this is an index of images for several platforms");
		return error_next(err, "name one of its images by digest");
	}
	return layout_read_blob(layout, &out->manifest.config.digest, CONFIG_LIMIT,
		       &out->config_text, err) &&
	       config_parse(buf_str(&out->config_text), "the configuration", &out->facts, err) &&
	       json_parse(buf_str(&out->config_text), "the configuration", NULL, &out->config, err);
}

/* What made layer number at, from the history that we write: "program". */
static const char *kind_of(const struct image_side *side, size_t at)
{
	static const char ours[] = "dogshore image build: ";
	const struct json *history = json_get(side->config, "history");
	const char *by = json_get_text(json_at(history, at), "created_by", "");

	return json_count(history) == side->manifest.count && text_starts_with(by, ours)
		       ? by + strlen(ours)
		       : NULL;
}

static char *layer_name(const struct image_side *given, size_t at)
{
	const char *kind = kind_of(given, at);

	return memory_format("layer %zu of %zu%s%s%s", at + 1, given->manifest.count,
		kind ? " (" : "", kind ? kind : "", kind ? ")" : "");
}

static void differ(struct image_difference *out, const char *where, const char *what)
{
	*out = (struct image_difference){.where = memory_copy_text(where),
		.what = memory_copy_text(what)};
}

static bool open_layer(const struct image_side *side, size_t at, int *out_fd, struct error *err)
{
	scoped(text_free) char *path =
		layout_blob_path(side->layout, &side->manifest.items[at].digest);

	*out_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *out_fd >= 0 || error_raise_errno(err, "open \"%s\"", path);
}

static bool compare_layer(const struct image_side *given, const struct image_side *here, size_t at,
	struct image_difference *out, struct error *err)
{
	scoped(text_free) char *name = layer_name(given, at);
	scoped(descriptor_close) int given_fd = -1, here_fd = -1;

	if (!open_layer(given, at, &given_fd, err) || !open_layer(here, at, &here_fd, err) ||
		!archive_compare(given_fd, here_fd, name, out, err))
		return error_while(err, "comparing %s", name);
	if (out->same)
		differ(out, name, "the same entries in another archive: order or padding");
	return true;
}

static bool compare_layers(const struct image_side *given, const struct image_side *here,
	struct image_difference *out, struct error *err)
{
	size_t most = given->facts.diff_id_count, least = here->facts.diff_id_count;
	char what[96];

	if (most != given->manifest.count || least != here->manifest.count)
		return error_raise(err, ERROR_INVALID,
			"a configuration names another number of layers than its manifest");
	if (least > most)
		least = most;
	for (size_t i = 0; i < least; i++)
		if (!digest_equal(&given->facts.diff_ids[i], &here->facts.diff_ids[i]))
			return compare_layer(given, here, i, out, err);
	if (most != here->facts.diff_id_count) {
		snprintf(what, sizeof(what), "%zu, here %zu", most, here->facts.diff_id_count);
		differ(out, "number of layers", what);
	}
	return true;
}

/* The first member in which two documents differ, as "config.Env.2"; path grows on the way. */
static void find_member(const struct json *given, const struct json *here, struct buf *path)
{
	size_t before = path->size;

	if (json_is_object(given) && json_is_object(here)) {
		for (json_each(member, given)) {
			const struct json *other = json_get(here, member.key);

			if (other && json_equal(member.value, other))
				continue;
			buf_printf(path, "%s%s", before ? "." : "", member.key);
			if (other)
				find_member(member.value, other, path);
			return;
		}
		for (json_each(member, here))
			if (!json_get(given, member.key)) {
				buf_printf(path, "%s%s", before ? "." : "", member.key);
				return;
			}
	}
	for (size_t i = 0; json_is_array(given) && json_is_array(here) && i < json_count(given);
		i++)
		if (!json_equal(json_at(given, i), json_at(here, i))) {
			buf_printf(path, "%s%zu", before ? "." : "", i);
			find_member(json_at(given, i), json_at(here, i), path);
			return;
		}
}

static void compare_configs(const struct image_side *given, const struct image_side *here,
	struct image_difference *out)
{
	scoped(buf_free) struct buf path = {0};

	if (str_equal(buf_str(&given->config_text), buf_str(&here->config_text)))
		return;
	find_member(given->config, here->config, &path);
	scoped(text_free) char *where =
		memory_format("configuration%s%s", path.size ? ": " : "", buf_text(&path));
	differ(out, where, path.size ? "is another" : "is written in another way");
}

static void compare_compression(const struct image_side *given, const struct image_side *here,
	struct image_difference *out)
{
	for (size_t i = 0; i < given->manifest.count; i++) {
		if (digest_equal(&given->manifest.items[i].digest, &here->manifest.items[i].digest))
			continue;
		scoped(text_free) char *name = layer_name(given, i);
		scoped(text_free) char *what =
			memory_format("the same content, compressed otherwise: %s of %lld bytes, "
				      "here %s of %lld",
				given->manifest.items[i].media_type,
				(long long)given->manifest.items[i].size_bytes,
				here->manifest.items[i].media_type,
				(long long)here->manifest.items[i].size_bytes);
		differ(out, name, what);
		return;
	}
}

bool image_compare(const struct layout *given_layout, const struct digest *given_digest,
	const struct layout *here_layout, const struct digest *here_digest,
	struct image_difference *out_difference, struct error *err)
{
	scoped(image_side_free) struct image_side given = {0}, here = {0};
	scoped(image_difference_free) struct image_difference out = {.same = true};

	if (!digest_equal(given_digest, here_digest)) {
		if (!read_side(given_layout, given_digest, &given, err) ||
			!read_side(here_layout, here_digest, &here, err) ||
			!compare_layers(&given, &here, &out, err))
			return false;
		if (out.same)
			compare_configs(&given, &here, &out);
		if (out.same)
			compare_compression(&given, &here, &out);
		if (out.same)
			differ(&out, "manifest", "is another, though all it names is the same");
	}
	*out_difference = out;
	out = (struct image_difference){0};
	return true;
}
