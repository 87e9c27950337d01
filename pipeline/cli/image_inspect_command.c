#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/terminal.h"
#include "builders/image/descriptor.h"
#include "builders/image/reasons.h"
#include "builders/registry/copy.h"
#include "pipeline/cli/command.h"

#include <stdlib.h>

static struct push_options given;
static const char *why;

static const struct option_row rows[] = {
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
	{"why", OPTION_TEXT, &why, "PATH",
		"why this file is in the image; PATH may be a name (libz.so.1)", NULL},
};

static const struct option_set options = {
	.usage = "image inspect IMAGE [--why PATH]",
	.about = "show an image; IMAGE is HOST/REPOSITORY:TAG or oci:FOLDER:TAG",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static int64_t total_size(const struct image_documents *documents)
{
	int64_t size = documents->parsed.config.size_bytes + (int64_t)documents->manifest.size;

	for (size_t i = 0; i < documents->parsed.count; i++)
		size += documents->parsed.items[i].size_bytes;
	return size;
}

static void put_items(struct json_writer *w, const struct image_documents *documents)
{
	const struct manifest *manifest = &documents->parsed;

	json_key(w, manifest->is_index ? "manifests" : "layers");
	json_array_begin(w);
	for (size_t i = 0; i < manifest->count; i++) {
		json_object_begin(w);
		descriptor_put_digest(w, "digest", &manifest->items[i].digest);
		if (!manifest->is_index && i < documents->facts.diff_id_count)
			descriptor_put_digest(w, "diff_id", &documents->facts.diff_ids[i]);
		json_put_int(w, "size", manifest->items[i].size_bytes);
		json_put_text(w, "media_type", manifest->items[i].media_type);
		if (manifest->items[i].platform)
			json_put_text(w, "platform", manifest->items[i].platform);
		json_object_end(w);
	}
	json_array_end(w);
}

static char *platform_of(const struct image_facts *facts)
{
	return platform_text(facts->os, facts->architecture, facts->variant);
}

static void write_json(const struct image_documents *documents, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	const struct image_facts *facts = &documents->facts;

	json_object_begin(&w);
	descriptor_put_digest(&w, "digest", &documents->digest);
	json_put_text(&w, "media_type", documents->parsed.media_type);
	json_put_int(&w, "size", total_size(documents));
	if (!documents->parsed.is_index) {
		descriptor_put_digest(&w, "config_digest", &documents->parsed.config.digest);
		scoped(text_free) char *platform = platform_of(facts);
		json_put_text(&w, "platform", platform);
		json_put_text(&w, "created", facts->created);
		json_put_text(&w, "user", facts->user);
		json_put_strings(&w, "entrypoint", &facts->entrypoint);
		json_put_strings(&w, "args", &facts->args);
		json_put_strings(&w, "env", &facts->env);
		json_put_strings(&w, "ports", &facts->ports);
		json_put_strings(&w, "labels", &facts->labels);
	}
	put_items(&w, documents);
	json_object_end(&w);
}

/* What an image says may come from anywhere. */
static void print_text(const char *name, const char *text)
{
	printf("%-11s", name);
	terminal_print(stdout, str_of(text));
	printf("\n");
}

static void print_strings(const char *name, const struct strings *list)
{
	if (list->count == 0)
		return;
	printf("%-11s", name);
	for (size_t i = 0; i < list->count; i++) {
		fputs(i ? " " : "", stdout);
		terminal_print(stdout, str_of(list->items[i]));
	}
	printf("\n");
}

static void print_facts(const struct image_facts *facts)
{
	scoped(text_free) char *platform = platform_of(facts);

	print_text("platform", platform);
	print_text("created", facts->created);
	print_text("user", facts->user[0] ? facts->user : "root");
	print_strings("entrypoint", &facts->entrypoint);
	print_strings("args", &facts->args);
	print_strings("env", &facts->env);
	print_strings("ports", &facts->ports);
	print_strings("labels", &facts->labels);
}

static void print(const struct image_documents *documents)
{
	bool is_index = documents->parsed.is_index;
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&documents->digest, digest);
	printf("digest     %s\nsize       %lld bytes\n", digest, (long long)total_size(documents));
	if (!is_index)
		print_facts(&documents->facts);
	for (size_t i = 0; i < documents->parsed.count; i++) {
		const struct blob_name *item = &documents->parsed.items[i];
		digest_to_text(&item->digest, digest);
		printf("%-11s%s %lld bytes ", is_index ? "manifest" : "layer", digest,
			(long long)item->size_bytes);
		print_text("", item->platform ? item->platform : item->media_type);
	}
}

/* A layout may also be written without "oci:", when it is there. */
static bool find_place(const char *text, struct place *out_place, struct error *err)
{
	struct place place = {.is_layout = true};
	struct error ignored = {0};

	if (!text_starts_with(text, "oci:") &&
		layout_reference_parse(text, &place.path, &place.tag, &ignored)) {
		scoped(text_free) char *mark = path_join(place.path, "oci-layout");
		if (file_exists(mark)) {
			*out_place = place;
			return true;
		}
		place_free(&place);
	}
	error_ignore(&ignored, "it is no layout then");
	return place_parse(text, out_place, err);
}

static void print_step(const struct reason *step, bool first)
{
	printf("%s%s%s\n  %s\n", step->path, *step->target ? " -> " : "", step->target, step->why);
	if (first)
		printf("  layer: %s%s%s\n", step->layer, *step->package ? ", package: " : "",
			step->package);
}

static void write_steps(const struct reasons *reasons, const size_t *steps, size_t count,
	struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "path", reasons->items[steps[0]].path);
	json_put_text(&w, "why", reasons->items[steps[0]].why);
	json_key(&w, "steps");
	json_array_begin(&w);
	for (size_t i = 0; i < count; i++) {
		const struct reason *step = &reasons->items[steps[i]];
		json_object_begin(&w);
		json_put_text(&w, "path", step->path);
		json_put_text(&w, "why", step->why);
		json_put_text(&w, "layer", step->layer);
		if (*step->package)
			json_put_text(&w, "package", step->package);
		if (*step->target)
			json_put_text(&w, "target", step->target);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
}

static bool explain(struct command_context *context, const struct place *from, struct error *err)
{
	scoped(reasons_free) struct reasons reasons = {0};
	scoped(layout_free) struct layout layout = {0};
	size_t *steps, count;

	if (!from->is_layout) {
		error_raise(err, ERROR_USAGE,
			"why a file is in an image is known to the layout that it was built into, "
			"not to a registry");
		return error_next(err, "dogshore image inspect FOLDER:TAG --why %s", why);
	}
	if (!layout_open(from->path, &layout, err) ||
		!reasons_read(&layout, from->tag, &reasons, err) ||
		!reasons_find(&reasons, why, &steps, &count, err))
		return false;
	if (context->json)
		write_steps(&reasons, steps, count, &context->result);
	for (size_t i = 0; !context->json && i < count; i++)
		print_step(&reasons.items[steps[i]], i == 0);
	free(steps);
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(place_free) struct place from = {0};
	scoped(image_documents_free) struct image_documents documents = {0};
	const char *image = context->words.items[0];

	if (!find_place(image, &from, err))
		return error_while(err, "inspecting %s", image);
	if (why)
		return explain(context, &from, err) ||
		       error_while(err, "asking %s why it has %s", image, why);
	if (!copy_read_documents(&from, &given, &documents, err))
		return error_while(err, "inspecting %s", image);
	if (context->json)
		write_json(&documents, &context->result);
	else
		print(&documents);
	return true;
}

const struct command image_inspect_command = {"image inspect", &options, run, false};
