#include "builders/image/package_status.h"

#include <strings.h>

/* The first line of rest, without its end. */
static struct str line_of(struct str rest)
{
	const char *end = rest.size ? memchr(rest.data, '\n', rest.size) : NULL;

	return (struct str){rest.data, end ? (size_t)(end - rest.data) : rest.size};
}

static void skip(struct str *rest, size_t size)
{
	size += size < rest->size; /* the line's end */
	*rest = (struct str){rest->data + size, rest->size - size};
}

/* Up to an empty line. Line by line: memmem() for two bytes looks at each byte. */
static size_t stanza_size(struct str rest)
{
	size_t size = line_of(rest).size;

	while (size + 1 < rest.size && rest.data[size + 1] != '\n')
		size += 1 + line_of((struct str){rest.data + size + 1, rest.size - size - 1}).size;
	return size + 1 < rest.size ? size : rest.size;
}

bool stanza_next(struct str *rest, struct str *out_stanza)
{
	while (rest->size > 0 && rest->data[0] == '\n')
		skip(rest, 0);
	if (rest->size == 0)
		return false;
	size_t size = stanza_size(*rest);

	*out_stanza = (struct str){rest->data, size};
	skip(rest, size);
	return true;
}

/* The value and the lines that continue it. */
static struct str whole_value(struct str rest, size_t start)
{
	size_t size = line_of(rest).size;

	while (size + 1 < rest.size &&
		(rest.data[size + 1] == ' ' || rest.data[size + 1] == '\t')) {
		struct str next = {rest.data + size + 1, rest.size - size - 1};
		size += 1 + line_of(next).size;
	}
	return str_trim((struct str){rest.data + start, size - start});
}

struct str stanza_field(struct str stanza, const char *name)
{
	size_t name_size = strlen(name);

	while (stanza.size > 0) {
		struct str line = line_of(stanza);

		/* Most lines continue a field. */
		if (line.size > name_size && line.data[0] != ' ' && line.data[name_size] == ':' &&
			strncasecmp(line.data, name, name_size) == 0)
			return whole_value(stanza, name_size + 1);
		skip(&stanza, line.size);
	}
	return (struct str){0};
}
