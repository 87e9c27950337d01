#include "builders/executor/depfile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read, quoted again as a compiler does, must be read again as the same. */
static void quote(struct buf *out, const char *name)
{
	size_t slashes = 0;

	for (const char *at = name; *at; at++) {
		if (*at == ' ' || *at == '\t')
			for (size_t i = 0; i <= slashes; i++)
				buf_append_char(out, '\\');
		if (*at == '#')
			buf_append_char(out, '\\');
		if (*at == '$')
			buf_append_char(out, '$');
		buf_append_char(out, *at);
		slashes = *at == '\\' ? slashes + 1 : 0;
	}
}

/* A backslash at the end of a name, or before "#", cannot be written in this format. */
static bool can_be_written(const char *name)
{
	size_t size = strlen(name);

	return size && name[size - 1] != '\\' && !strstr(name, "\\#") && !strpbrk(name, "\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(strings_free) struct strings files = {0}, again = {0};
	scoped(buf_free) struct buf text = {0};

	if (!depfile_parse((struct str){(const char *)data, size}, &files))
		return 0;
	buf_append_text(&text, "x.o:");
	for (size_t i = 0; i < files.count; i++) {
		if (!can_be_written(files.items[i]))
			return 0;
		buf_append_text(&text, i % 3 ? " " : " \\\n ");
		quote(&text, files.items[i]);
	}
	if (!depfile_parse(buf_str(&text), &again) || again.count != files.count)
		abort();
	for (size_t i = 0; i < files.count; i++)
		if (strcmp(again.items[i], files.items[i]) != 0)
			abort();
	return 0;
}
