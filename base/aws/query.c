#include "base/aws/query.h"

#include "base/digest.h"
#include "base/memory.h"
#include "base/xml.h"

#include <inttypes.h>
#include <stdlib.h>

static void encode_value(const char *name, const struct json *value, struct buf *out);

static void begin_pair(const char *name, struct buf *out)
{
	if (out->size)
		buf_append_char(out, '&');
	percent_append(out, str_of(name), false);
	buf_append_char(out, '=');
}

static void encode_list(const char *name, const struct json *list, struct buf *out)
{
	if (json_count(list) == 0)
		begin_pair(name, out);
	for (size_t i = 0; i < json_count(list); i++) {
		scoped(text_free) char *item = memory_format("%s.member.%zu", name, i + 1);

		encode_value(item, json_at(list, i), out);
	}
}

static void encode_members(const char *prefix, const struct json *object, struct buf *out)
{
	for (json_each(member, object)) {
		scoped(text_free) char *name = memory_format("%s%s%s", prefix ? prefix : "",
			prefix ? "." : "", member.key);

		encode_value(name, member.value, out);
	}
}

static void encode_value(const char *name, const struct json *value, struct buf *out)
{
	switch (json_kind(value)) {
	case JSON_NULL:
		break;
	case JSON_BOOL:
		begin_pair(name, out);
		buf_append_text(out, json_bool(value, false) ? "true" : "false");
		break;
	case JSON_INT:
		begin_pair(name, out);
		buf_printf(out, "%" PRId64, json_int(value, 0));
		break;
	case JSON_REAL:
		begin_pair(name, out);
		json_real_append(json_real(value, 0), out);
		break;
	case JSON_TEXT:
		begin_pair(name, out);
		percent_append(out, json_str(value), false);
		break;
	case JSON_ARRAY:
		encode_list(name, value, out);
		break;
	case JSON_OBJECT:
		encode_members(name, value, out);
		break;
	}
}

void query_encode(const char *action, const char *version, const struct json *input,
	struct buf *out)
{
	buf_printf(out, "Action=%s&Version=%s", action, version);
	encode_members(NULL, input, out);
}

enum { DEPTH_LIMIT = 64 };

/* An open element. */
struct element {
	char *name;         /* owned */
	struct json *value; /* owned; object or array once a child has closed */
	struct buf text;
};

struct decoder {
	struct element stack[DEPTH_LIMIT];
	unsigned depth;
	struct json *root; /* owned; what the outermost element held */
};

static void element_free(struct element *element)
{
	free(element->name);
	json_free(&element->value);
	buf_free(&element->text);
	*element = (struct element){0};
}

static void decoder_free(struct decoder *decoder)
{
	while (decoder->depth)
		element_free(&decoder->stack[--decoder->depth]);
	json_free(&decoder->root);
}

static void open_element(void *self, const char *name, const char *const *attributes)
{
	struct decoder *decoder = self;

	(void)attributes;
	decoder->stack[decoder->depth++] = (struct element){.name = memory_copy_text(name)};
}

static void take_text(void *self, struct str text)
{
	struct decoder *decoder = self;

	if (decoder->depth)
		buf_append_str(&decoder->stack[decoder->depth - 1].text, text);
}

/* A leaf's text as the model's type; what does not look like it stays text. */
static struct json *leaf_value(const struct element *element, const char *parent)
{
	struct str text = buf_str(&element->text);
	int64_t number;

	switch (query_kind_of(element->name, parent)) {
	case QUERY_LIST:
		return json_array_new();
	case QUERY_BOOL:
		return json_bool_new(str_equal_text(text, "true"));
	case QUERY_INT:
		if (str_to_int(str_trim(text), &number))
			return json_int_new(number);
		break;
	case QUERY_REAL:
		return json_real_new(strtod(buf_text(&element->text), NULL));
	case QUERY_TEXT:
		break;
	}
	return json_str_new(text);
}

/* Lists have children <member>, maps <entry><key/><value/></entry>. */
static void add_child(struct element *parent, const char *name, struct json *value)
{
	bool is_item = text_equal(name, "member");

	if (!parent->value)
		parent->value = is_item ? json_array_new() : json_object_new();
	if (is_item && json_is_array(parent->value)) {
		json_append(parent->value, value);
	} else if (text_equal(name, "entry") && json_is_object(parent->value)) {
		const char *key = json_get_text(value, "key", NULL);
		const struct json *mapped = json_get(value, "value");

		if (key && mapped)
			json_set(parent->value, key, json_keep(mapped));
		json_free(&value);
	} else if (json_is_object(parent->value)) {
		json_set(parent->value, name, value);
	} else {
		json_free(&value);
	}
}

static void close_element(void *self, const char *name)
{
	struct decoder *decoder = self;
	struct element *element = &decoder->stack[decoder->depth - 1];
	struct element *parent = decoder->depth > 1 ? element - 1 : NULL;
	struct json *value = element->value;

	element->value = NULL;
	if (!value)
		value = leaf_value(element, parent ? parent->name : NULL);
	if (parent)
		add_child(parent, name, value);
	else
		decoder->root = value;
	element_free(element);
	decoder->depth--;
}

/* <OpResponse><OpResult>…</OpResult><ResponseMetadata/></OpResponse>: the content of OpResult. */
static struct json *result_of(const struct json *root)
{
	for (json_each(member, root)) {
		bool is_result =
			text_ends_with(member.key, "Result") || text_equal(member.key, "Error");

		if (is_result && json_is_object(member.value))
			return json_keep(member.value);
	}
	return json_object_new();
}

bool query_decode(struct str xml, struct json **out_value, struct error *err)
{
	static const struct xml_limits limits = {.depth = DEPTH_LIMIT};
	static const struct xml_events events = {open_element, take_text, close_element};
	scoped(decoder_free) struct decoder decoder = {0};
	scoped(error_free) struct error wrong = {0};

	if (!xml_read(xml, &limits, &events, &decoder, &wrong))
		return error_raise(err, wrong.kind == ERROR_LIMIT ? ERROR_LIMIT : ERROR_PROTOCOL,
			"the answer is no XML we accept: %s", wrong.message);
	*out_value = result_of(decoder.root);
	return true;
}
