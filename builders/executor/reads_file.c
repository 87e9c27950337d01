#include "builders/executor/reads_file.h"

#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"

enum { READS_LIMIT = 64 << 20 };

bool reads_file_write(const char *output, const struct strings *files, const char *unknown,
	struct error *err)
{
	scoped(text_free) char *path = path_join(output, EXECUTOR_READS);
	scoped(buf_free) struct buf text = {0};
	struct json_writer w = json_writer_start(&text);

	json_object_begin(&w);
	if (unknown) {
		json_put_text(&w, "unknown", unknown);
	} else {
		json_put_strings(&w, "files", files);
	}
	json_object_end(&w);
	buf_append_char(&text, '\n');
	return file_write(path, buf_str(&text), 0600, false, err);
}

static bool is_list_of_texts(const struct json *files)
{
	for (size_t i = 0; i < json_count(files); i++)
		if (!json_text(json_at(files, i), NULL))
			return false;
	return json_is_array(files);
}

void reads_file_read(const char *output, struct strings *files, char **out_unknown)
{
	scoped(text_free) char *path = path_join(output, EXECUTOR_READS);
	scoped(json_free) struct json *document = NULL;
	struct error err = {0};

	*out_unknown = NULL;
	if (!json_read_file(path, READS_LIMIT, &document, &err)) {
		*out_unknown = memory_copy_text(err.message);
		error_ignore(&err, "it is told");
		return;
	}
	const char *unknown = json_get_text(document, "unknown", NULL);
	const struct json *read = json_get(document, "files");

	if (unknown || !is_list_of_texts(read)) {
		*out_unknown = memory_copy_text(
			unknown ? unknown : "\"" EXECUTOR_READS "\" has no list of files");
		return;
	}
	for (size_t i = 0; i < json_count(read); i++)
		strings_add(files, json_text(json_at(read, i), ""));
}
