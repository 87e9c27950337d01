#include "deployers/local/query_codec.h"

#include "base/digest.h"
#include "base/memory.h"

#include <stdlib.h>

enum { PARAMETERS_MAX = 4096, LEVELS_MAX = 16, INDEX_MAX = 10000 };

/* Puts value where the dotted name says, making objects on the way. False when another parameter
 * is in the way: "a=1&a.b=2", or the same name twice. */
static bool place(struct json *root, struct str name, struct str value)
{
	struct json *object = root;

	for (int level = 0; level < LEVELS_MAX; level++) {
		scoped(text_free) char *part = str_copy(str_cut(&name, '.'));
		struct json *inner = json_get(object, part);

		if (!*part)
			return false;
		if (!name.data) {
			if (inner)
				return false;
			json_set(object, part, json_str_new(value));
			return true;
		}
		if (!inner) {
			inner = json_object_new();
			json_set(object, part, inner);
		} else if (!json_is_object(inner)) {
			return false;
		}
		object = inner;
	}
	return false;
}

struct item {
	int64_t number;
	struct json *value; /* borrowed */
};

static int by_number(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* The values of {"1": …, "2": …} by number; NULL when a key is no such number. */
static struct item *numbered(const struct json *object)
{
	size_t count = 0;
	struct item *items = memory_new_array(json_count(object) + 1, sizeof(*items));

	for (json_each(member, object)) {
		int64_t number;

		if (!str_to_int(str_of(member.key), &number) || number < 1 || number > INDEX_MAX) {
			free(items);
			return NULL;
		}
		items[count++] = (struct item){number, member.value};
	}
	qsort(items, count, sizeof(*items), by_number);
	return items;
}

/* What the only member of object is when it is called name and holds numbered values. */
static struct item *only_member(const struct json *object, const char *name, size_t *out_count)
{
	const struct json *inner = json_get(object, name);

	if (json_count(object) != 1 || !json_is_object(inner) || !json_count(inner))
		return NULL;
	*out_count = json_count(inner);
	return numbered(inner);
}

static struct json *shape(const struct json *value)
{
	size_t count = 0;
	struct item *items;

	if (!json_is_object(value))
		return json_copy(value);
	if ((items = only_member(value, "member", &count))) {
		struct json *array = json_array_new();

		for (size_t i = 0; i < count; i++)
			json_append(array, shape(items[i].value));
		free(items);
		return array;
	}
	struct json *object = json_object_new();

	if ((items = only_member(value, "entry", &count))) {
		for (size_t i = 0; i < count; i++)
			json_set(object, json_get_text(items[i].value, "key", ""),
				shape(json_get(items[i].value, "value")));
		free(items);
		return object;
	}
	for (json_each(member, value))
		json_set(object, member.key, shape(member.value));
	return object;
}

bool query_parse(struct str form, struct json **out_input, struct error *err)
{
	scoped(json_free) struct json *flat = json_object_new();
	struct str rest = form;
	size_t count = 0;

	while (rest.data) {
		scoped(buf_free) struct buf name = {0}, value = {0};
		struct str raw = str_cut(&rest, '&'), raw_name = str_cut(&raw, '=');

		if (!raw_name.size && !raw.size)
			continue;
		if (++count > PARAMETERS_MAX)
			return error_raise(err, ERROR_LIMIT, "more than %d parameters",
				PARAMETERS_MAX);
		if (!percent_decode(raw_name, true, &name) || !percent_decode(raw, true, &value) ||
			memchr(buf_text(&name), 0, name.size) ||
			memchr(buf_text(&value), 0, value.size) || !str_is_utf8(buf_str(&name)) ||
			!str_is_utf8(buf_str(&value)))
			return error_raise(err, ERROR_INVALID,
				"parameter %zu is no percent-encoded UTF-8 text", count);
		if (!place(flat, buf_str(&name), buf_str(&value)))
			return error_raise(err, ERROR_INVALID,
				"parameter \"%.100s\" does not fit the others", buf_text(&name));
	}
	*out_input = shape(flat);
	return true;
}

/* XML 1.0 knows no other control characters, escaped or not; they become '?'. */
static void append_escaped(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '<')
			buf_append_text(out, "&lt;");
		else if (c == '>')
			buf_append_text(out, "&gt;");
		else if (c == '&')
			buf_append_text(out, "&amp;");
		else if (c == '"')
			buf_append_text(out, "&quot;");
		else if (c == '\r')
			buf_append_text(out, "&#13;");
		else
			buf_append_char(out, c < ' ' && c != '\n' && c != '\t' ? '?' : (char)c);
	}
}

static void append_value(struct buf *out, const struct json *value)
{
	switch (json_kind(value)) {
	case JSON_NULL:
		break;
	case JSON_TEXT:
		append_escaped(out, json_str(value));
		break;
	case JSON_ARRAY:
		for (size_t i = 0; i < json_count(value); i++) {
			buf_append_text(out, "<member>");
			append_value(out, json_at(value, i));
			buf_append_text(out, "</member>");
		}
		break;
	case JSON_OBJECT:
		for (json_each(member, value)) {
			if (json_kind(member.value) == JSON_NULL)
				continue;
			buf_printf(out, "<%s>", member.key);
			append_value(out, member.value);
			buf_printf(out, "</%s>", member.key);
		}
		break;
	case JSON_BOOL:
	case JSON_INT:
	case JSON_REAL:
		json_write(value, out);
		break;
	}
}

void query_write_answer(const char *action, const char *xml_namespace, const struct json *output,
	const char *request_id, struct buf *out)
{
	buf_printf(out, "<%sResponse xmlns=\"%s\"><%sResult>", action, xml_namespace, action);
	append_value(out, output);
	buf_printf(out,
		"</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>"
		"</%sResponse>",
		action, request_id, action);
}

void query_write_error(const char *xml_namespace, int status, const char *code, const char *message,
	const char *request_id, struct buf *out)
{
	buf_printf(out,
		"<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type><Code>%s</Code><Message>",
		xml_namespace, status < 500 ? "Sender" : "Receiver", code);
	append_escaped(out, str_of(message));
	buf_printf(out, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>", request_id);
}
