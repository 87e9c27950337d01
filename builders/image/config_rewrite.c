#include "builders/image/config_rewrite.h"

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/config.h"
#include "builders/image/descriptor.h"

#include <stdlib.h>

static void put_text(struct json_writer *w, const struct json *from, const char *key)
{
	const char *text = json_get_text(from, key, "");

	if (text[0])
		json_put_text(w, key, text);
}

/* Members sorted, so that two builders that order them differently agree. */
static void put_value(struct json_writer *w, const struct json *from, const char *key)
{
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *sorted = NULL;
	const struct json *value = json_get(from, key);

	if (json_kind(value) == JSON_NULL)
		return;
	json_write_canonical(value, &text);
	if (json_parse(buf_str(&text), key, NULL, &sorted, NULL))
		json_put_value(w, key, sorted);
}

/* Lays "NAME=value" over a list of the same form. */
static void lay_pair(struct strings *list, const char *pair)
{
	const char *equals = strchr(pair, '=');
	size_t name = equals ? (size_t)(equals - pair) + 1 : strlen(pair);

	for (size_t i = 0; i < list->count; i++) {
		if (strncmp(list->items[i], pair, name) != 0)
			continue;
		free(list->items[i]);
		list->items[i] = memory_copy_text(pair);
		return;
	}
	strings_add(list, pair);
}

static void lay_all(struct strings *list, const struct strings *over)
{
	for (size_t i = 0; over && i < over->count; i++)
		lay_pair(list, over->items[i]);
}

static void put_env(struct json_writer *w, const struct json *run, const struct strings *over)
{
	scoped(strings_free) struct strings list = {0};
	const struct json *env = json_get(run, "Env");

	for (size_t i = 0; json_is_array(env) && i < json_count(env); i++)
		if (json_is_text(json_at(env, i)))
			lay_pair(&list, json_text(json_at(env, i), ""));
	lay_all(&list, over);
	if (list.count > 0)
		json_put_strings(w, "Env", &list);
}

/* A key may have '=' in it when it does not come from a flag. */
static void put_labels(struct json_writer *w, const struct json *run, const struct strings *over)
{
	scoped(strings_free) struct strings keys = {0};
	scoped(json_free) struct json *all = json_object_new();

	for (json_each(label, json_get(run, "Labels")))
		json_set_text(all, label.key, json_text(label.value, ""));
	for (size_t i = 0; over && i < over->count; i++) {
		struct str value = str_of(over->items[i]);
		scoped(text_free) char *key = str_copy(str_cut(&value, '='));
		json_set(all, key, json_str_new(value));
	}
	for (json_each(label, all))
		strings_add(&keys, label.key);
	if (keys.count == 0)
		return;
	strings_sort(&keys);
	json_key(w, "Labels");
	json_object_begin(w);
	for (size_t i = 0; i < keys.count; i++)
		json_put_text(w, keys.items[i], json_get_text(all, keys.items[i], ""));
	json_object_end(w);
}

static void put_ports(struct json_writer *w, const struct json *run, int64_t port)
{
	scoped(strings_free) struct strings list = {0};
	char text[32];

	for (json_each(member, json_get(run, "ExposedPorts")))
		strings_add(&list, member.key);
	snprintf(text, sizeof(text), "%lld/tcp", (long long)port);
	if (port > 0 && !strings_contain(&list, text))
		strings_add(&list, text);
	if (list.count == 0)
		return;
	strings_sort(&list);
	json_key(w, "ExposedPorts");
	json_object_begin(w);
	for (size_t i = 0; i < list.count; i++) {
		json_key(w, list.items[i]);
		json_object_begin(w);
		json_object_end(w);
	}
	json_object_end(w);
}

static void put_command(struct json_writer *w, const struct json *run,
	const struct config_changes *changes)
{
	if (changes->entrypoint) {
		json_key(w, "Entrypoint");
		json_array_begin(w);
		json_write_text(w, changes->entrypoint);
		json_array_end(w);
	} else {
		put_value(w, run, "Entrypoint");
	}
	if (changes->args && changes->args->count > 0)
		json_put_strings(w, "Cmd", changes->args);
	else if (!changes->entrypoint)
		put_value(w, run, "Cmd");
}

static void put_run(struct json_writer *w, const struct json *run,
	const struct config_changes *changes)
{
	json_key(w, "config");
	json_object_begin(w);
	if (changes->user)
		json_put_text(w, "User", changes->user);
	else
		put_text(w, run, "User");
	put_ports(w, run, changes->port);
	put_env(w, run, changes->env);
	put_command(w, run, changes);
	put_value(w, run, "Volumes");
	if (changes->working_folder)
		json_put_text(w, "WorkingDir", changes->working_folder);
	else
		put_text(w, run, "WorkingDir");
	put_labels(w, run, changes->labels);
	put_text(w, run, "StopSignal");
	put_value(w, run, "Healthcheck");
	put_value(w, run, "Shell");
	put_value(w, run, "OnBuild");
	json_object_end(w);
}

void config_rewrite(const struct json *outside, const struct config_changes *changes,
	struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	config_put_created(&w, changes->created_s);
	put_text(&w, outside, "author");
	put_text(&w, outside, "architecture");
	put_text(&w, outside, "variant");
	put_text(&w, outside, "os");
	put_text(&w, outside, "os.version");
	put_run(&w, json_get(outside, "config"), changes);
	json_key(&w, "rootfs");
	json_object_begin(&w);
	json_put_text(&w, "type", "layers");
	json_key(&w, "diff_ids");
	json_array_begin(&w);
	for (size_t i = 0; i < changes->diff_id_count; i++)
		descriptor_write_digest(&w, &changes->diff_ids[i]);
	json_array_end(&w);
	json_object_end(&w);
	json_key(&w, "history");
	json_write_value(&w, changes->history);
	json_object_end(&w);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_digest(const char *text)
{
	size_t digits = 0;

	while (text[0] == ':' && digits < 64 && is_hex(text[1 + digits]))
		digits++;
	return digits == 64;
}

static bool names_what_was_copied(struct str before)
{
	return str_ends_with(before, "file") || str_ends_with(before, "dir") ||
	       str_ends_with(before, "multi");
}

/* Leaves out ":" and 64 hex digits behind "file", "dir" or "multi". Owned. */
static char *without_digests(const char *text)
{
	struct buf out = {0};

	while (*text)
		if (is_digest(text) && names_what_was_copied(buf_str(&out)))
			text += 1 + 64;
		else
			buf_append_char(&out, *text++);
	return out.data ? buf_take(&out) : memory_copy_text("");
}

struct json *history_normalise(const struct json *history, bool squashed)
{
	struct json *list = json_array_new();

	for (size_t i = 0; json_is_array(history) && i < json_count(history); i++) {
		const struct json *old = json_at(history, i);
		scoped(text_free) char *by = without_digests(json_get_text(old, "created_by", ""));
		struct json *entry = json_object_of("created_by", json_text_new(by), NULL);

		if (squashed || json_get_bool(old, "empty_layer", false))
			json_set_bool(entry, "empty_layer", true);
		json_append(list, entry);
	}
	if (squashed)
		json_append(list, json_object_of("created_by",
					  json_text_new("dogshore image build: squashed"), NULL));
	return list;
}
