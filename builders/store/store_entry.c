#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/store/store_inside.h"

#include <stdlib.h>

/*
 * An entry is a line with the digest of all that follows, and a JSON document:
 *
 *     {"version":1,"commit":…,"run":…,"made_ms":…,"size":…,
 *      "files":[{"path","mode","folder":true} | {"path","link"} | {"path","mode","digest","size"}]}
 */

enum { VERSION = 1, ENTRY_LIMIT = 64 << 20, MODE_BITS = 07777 };

void store_entry_free(struct store_entry *entry)
{
	store_origin_free(&entry->origin);
	for (size_t i = 0; i < entry->count; i++) {
		free(entry->files[i].path);
		free(entry->files[i].target);
	}
	free(entry->files);
	*entry = (struct store_entry){0};
}

struct store_file *store_entry_add(struct store_entry *entry)
{
	/* Doubled when the number of places, a power of two, is used up. */
	if (!(entry->count & (entry->count - 1)))
		entry->files = memory_resize(entry->files,
			(entry->count ? entry->count * 2 : 1) * sizeof(*entry->files));
	entry->files[entry->count] = (struct store_file){0};
	return &entry->files[entry->count++];
}

static void write_file(const struct store_file *file, struct json_writer *w)
{
	char text[DIGEST_TEXT_SIZE];

	json_object_begin(w);
	json_put_text(w, "path", file->path);
	if (file->kind != STORE_LINK)
		json_put_int(w, "mode", file->mode);
	if (file->kind == STORE_FOLDER)
		json_put_bool(w, "folder", true);
	if (file->kind == STORE_LINK)
		json_put_text(w, "link", file->target);
	if (file->kind == STORE_FILE) {
		digest_to_text(&file->digest, text);
		json_put_text(w, "digest", text);
		json_put_int(w, "size", file->size_bytes);
	}
	json_object_end(w);
}

void store_entry_write(const struct store_entry *entry, struct buf *out)
{
	scoped(buf_free) struct buf document = {0};
	struct json_writer w = json_writer_start(&document);
	char hex[DIGEST_HEX_SIZE];

	json_object_begin(&w);
	json_put_int(&w, "version", VERSION);
	json_put_text(&w, "commit", entry->origin.commit);
	json_put_int(&w, "run", entry->origin.run);
	json_put_int(&w, "made_ms", entry->origin.made_ms);
	json_put_int(&w, "size", entry->origin.size_bytes);
	json_key(&w, "files");
	json_array_begin(&w);
	for (size_t i = 0; i < entry->count; i++)
		write_file(&entry->files[i], &w);
	json_array_end(&w);
	json_object_end(&w);
	struct digest digest = digest_of_str(buf_str(&document));

	digest_to_hex(&digest, hex);
	buf_printf(out, "%s\n", hex);
	buf_append_str(out, buf_str(&document));
}

static bool read_file(const struct json *json, struct store_file *file)
{
	const char *path = json_get_text(json, "path", "");

	if (!*path || !path_is_inside(path))
		return false;
	file->path = memory_copy_text(path);
	file->mode = (mode_t)json_get_int(json, "mode", 0) & MODE_BITS;
	file->size_bytes = json_get_int(json, "size", -1);
	if (json_get_text(json, "link", NULL)) {
		file->kind = STORE_LINK;
		file->target = memory_copy_text(json_get_text(json, "link", ""));
		return true;
	}
	if (json_get_bool(json, "folder", false)) {
		file->kind = STORE_FOLDER;
		return true;
	}
	return digest_parse(json_str(json_get(json, "digest")), &file->digest) &&
	       file->size_bytes >= 0;
}

static bool read_document(const struct json *json, struct store_entry *entry)
{
	const struct json *files = json_get(json, "files");

	if (json_get_int(json, "version", 0) != VERSION || !json_is_array(files))
		return false;
	entry->origin = (struct store_origin){
		.commit = memory_copy_text(json_get_text(json, "commit", "")),
		.run = json_get_int(json, "run", 0),
		.made_ms = json_get_int(json, "made_ms", 0),
		.size_bytes = json_get_int(json, "size", 0),
	};
	for (size_t i = 0; i < json_count(files); i++)
		if (!read_file(json_at(files, i), store_entry_add(entry)))
			return false;
	return true;
}

static bool matches(struct str written, struct str document)
{
	struct digest digest = digest_of_str(document);
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	return str_equal_text(written, hex);
}

bool store_entry_read(const char *path, struct store_entry *out_entry)
{
	const struct json_limits limits = {.size_bytes = ENTRY_LIMIT};
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *json = NULL;
	scoped(store_entry_free) struct store_entry entry = {0};
	scoped(error_free) struct error err = {0};

	if (!file_read(path, ENTRY_LIMIT, &text, &err)) {
		error_ignore(&err, "most often it is just not there");
		return false;
	}
	struct str document = buf_str(&text), digest = str_cut(&document, '\n');

	if (!document.data || !matches(digest, document) ||
		!json_parse(document, "an entry of the store", &limits, &json, &err) ||
		!read_document(json, &entry)) {
		error_ignore(&err, "what is not as we wrote it counts as not there");
		return false;
	}
	*out_entry = entry;
	entry = (struct store_entry){0};
	return true;
}
