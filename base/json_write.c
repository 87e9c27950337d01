#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static const char short_escapes[32] =
	{['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

static void escape(unsigned char c, struct buf *out)
{
	if (c >= 0x20)
		buf_append(out, (char[]){'\\', (char)c}, 2);
	else if (short_escapes[c])
		buf_append(out, (char[]){'\\', short_escapes[c]}, 2);
	else
		buf_printf(out, "\\u%04x", c);
}

void json_quote(struct str text, struct buf *out)
{
	const unsigned char *bytes = (const unsigned char *)text.data;
	size_t plain = 0, i = 0; /* bytes[plain..i) go out as they are */

	buf_append_char(out, '"');
	while (i < text.size) {
		unsigned char c = bytes[i];
		size_t length =
			c < 0x80 ? 1 : utf8_length((struct str){text.data + i, text.size - i});

		if (length && c >= 0x20 && c != '"' && c != '\\') {
			i += length;
			continue;
		}
		buf_append(out, bytes + plain, i - plain);
		if (length)
			escape(c, out);
		else
			buf_append_text(out, "\xEF\xBF\xBD");
		plain = ++i;
	}
	if (text.size)
		buf_append(out, bytes + plain, i - plain);
	buf_append_char(out, '"');
}

/* The shortest spelling that reads back as the same number; JSON has none for infinity and NaN. */
void json_real_append(double value, struct buf *out)
{
	char text[40];

	if (!isfinite(value)) {
		buf_append_text(out, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		double back;

		snprintf(text, sizeof(text), "%.*g", digits, value);
		back = strtod(text, NULL);
		if (!(back < value) && !(back > value))
			break;
	}
	buf_append_text(out, text);
	if (!strpbrk(text, ".e"))
		buf_append_text(out, ".0");
}

struct layout {
	bool sorted;
	bool pretty;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct json_member *)a)->key, ((const struct json_member *)b)->key);
}

static void line(const struct layout *layout, unsigned depth, struct buf *out)
{
	if (layout->pretty)
		buf_printf(out, "\n%*s", (int)depth * 2, "");
}

static void write_value(const struct json *value, const struct layout *layout, unsigned depth,
	struct buf *out);

static void write_array(const struct json *array, const struct layout *layout, unsigned depth,
	struct buf *out)
{
	size_t count = json_count(array);

	buf_append_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_append_char(out, ',');
		line(layout, depth + 1, out);
		write_value(json_at(array, i), layout, depth + 1, out);
	}
	if (count)
		line(layout, depth, out);
	buf_append_char(out, ']');
}

static void write_member(const struct json_member *member, const struct layout *layout,
	unsigned depth, bool first, struct buf *out)
{
	if (!first)
		buf_append_char(out, ',');
	line(layout, depth + 1, out);
	json_quote(str_of(member->key), out);
	buf_append_text(out, layout->pretty ? ": " : ":");
	write_value(member->value, layout, depth + 1, out);
}

static void write_sorted_members(const struct json *object, const struct layout *layout,
	unsigned depth, struct buf *out)
{
	size_t count = 0;
	struct json_member *members = memory_new_array(json_count(object), sizeof(*members));

	for (json_each(member, object))
		members[count++] = member;
	qsort(members, count, sizeof(*members), by_key);
	for (size_t i = 0; i < count; i++)
		write_member(&members[i], layout, depth, i == 0, out);
	free(members);
}

static void write_object(const struct json *object, const struct layout *layout, unsigned depth,
	struct buf *out)
{
	bool first = true;

	buf_append_char(out, '{');
	if (layout->sorted) {
		write_sorted_members(object, layout, depth, out);
	} else {
		for (json_each(member, object)) {
			write_member(&member, layout, depth, first, out);
			first = false;
		}
	}
	if (json_count(object))
		line(layout, depth, out);
	buf_append_char(out, '}');
}

static void write_value(const struct json *value, const struct layout *layout, unsigned depth,
	struct buf *out)
{
	switch (json_kind(value)) {
	case JSON_NULL:
		buf_append_text(out, "null");
		break;
	case JSON_BOOL:
		buf_append_text(out, json_bool(value, false) ? "true" : "false");
		break;
	case JSON_INT:
		buf_printf(out, "%" PRId64, json_int(value, 0));
		break;
	case JSON_REAL:
		json_real_append(json_real(value, 0), out);
		break;
	case JSON_TEXT:
		json_quote(json_str(value), out);
		break;
	case JSON_ARRAY:
		write_array(value, layout, depth, out);
		break;
	case JSON_OBJECT:
		write_object(value, layout, depth, out);
		break;
	}
}

void json_write(const struct json *value, struct buf *out)
{
	write_value(value, &(struct layout){0}, 0, out);
}

void json_write_canonical(const struct json *value, struct buf *out)
{
	write_value(value, &(struct layout){.sorted = true}, 0, out);
}

void json_write_pretty(const struct json *value, struct buf *out)
{
	write_value(value, &(struct layout){.pretty = true}, 0, out);
}
