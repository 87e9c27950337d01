#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/registry/copy.h"
#include "pipeline/cli/command.h"

static struct push_options given;

static const struct option_row rows[] = {
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image inspect IMAGE",
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

static void put_digest(struct json_writer *w, const char *key, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(digest, text);
	json_put_text(w, key, text);
}

static void put_strings(struct json_writer *w, const char *key, const struct strings *list)
{
	json_key(w, key);
	json_array_begin(w);
	for (size_t i = 0; i < list->count; i++)
		json_write_text(w, list->items[i]);
	json_array_end(w);
}

static void put_items(struct json_writer *w, const struct image_documents *documents)
{
	const struct manifest *manifest = &documents->parsed;

	json_key(w, manifest->is_index ? "manifests" : "layers");
	json_array_begin(w);
	for (size_t i = 0; i < manifest->count; i++) {
		json_object_begin(w);
		put_digest(w, "digest", &manifest->items[i].digest);
		if (!manifest->is_index && i < documents->facts.diff_id_count)
			put_digest(w, "diff_id", &documents->facts.diff_ids[i]);
		json_put_int(w, "size", manifest->items[i].size_bytes);
		json_put_text(w, "media_type", manifest->items[i].media_type);
		json_object_end(w);
	}
	json_array_end(w);
}

static void write_json(const struct image_documents *documents, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	const struct image_facts *facts = &documents->facts;

	json_object_begin(&w);
	put_digest(&w, "digest", &documents->digest);
	json_put_text(&w, "media_type", documents->parsed.media_type);
	json_put_int(&w, "size", total_size(documents));
	if (!documents->parsed.is_index) {
		put_digest(&w, "config_digest", &documents->parsed.config.digest);
		json_key(&w, "platform");
		json_write_format(&w, "%s/%s", facts->os, facts->architecture);
		json_put_text(&w, "created", facts->created);
		json_put_text(&w, "user", facts->user);
		put_strings(&w, "entrypoint", &facts->entrypoint);
		put_strings(&w, "args", &facts->args);
		put_strings(&w, "env", &facts->env);
		put_strings(&w, "ports", &facts->ports);
		put_strings(&w, "labels", &facts->labels);
	}
	put_items(&w, documents);
	json_object_end(&w);
}

static void print_strings(const char *name, const struct strings *list)
{
	if (list->count == 0)
		return;
	printf("%-11s", name);
	for (size_t i = 0; i < list->count; i++)
		printf("%s%s", i ? " " : "", list->items[i]);
	printf("\n");
}

static void print(const struct image_documents *documents)
{
	const struct image_facts *facts = &documents->facts;
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&documents->digest, digest);
	printf("digest     %s\nsize       %lld bytes\n", digest, (long long)total_size(documents));
	if (!documents->parsed.is_index) {
		printf("platform   %s/%s\ncreated    %s\nuser       %s\n", facts->os,
			facts->architecture, facts->created, facts->user[0] ? facts->user : "root");
		print_strings("entrypoint", &facts->entrypoint);
		print_strings("args", &facts->args);
		print_strings("env", &facts->env);
		print_strings("ports", &facts->ports);
		print_strings("labels", &facts->labels);
	}
	for (size_t i = 0; i < documents->parsed.count; i++) {
		const struct blob_name *item = &documents->parsed.items[i];
		digest_to_text(&item->digest, digest);
		printf("%-11s%s %lld bytes %s\n", documents->parsed.is_index ? "manifest" : "layer",
			digest, (long long)item->size_bytes, item->media_type);
	}
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(place_free) struct place from = {0};
	scoped(image_documents_free) struct image_documents documents = {0};

	if (!place_parse(context->words.items[0], &from, err) ||
		!copy_read_documents(&from, &given, &documents, err))
		return error_while(err, "inspecting %s", context->words.items[0]);
	if (context->json)
		write_json(&documents, &context->result);
	else
		print(&documents);
	return true;
}

const struct command image_inspect_command = {"image inspect", &options, run, false};
