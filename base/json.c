#include "base/json.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* jansson's names that our header has for itself. None of the renamed functions is used. */
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_NULL JANSSON_NULL
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_REAL JANSSON_REAL
#define json_copy jansson_copy
#define json_equal jansson_equal
#define json_real jansson_real
#include <jansson.h>
#undef JSON_ARRAY
#undef JSON_NULL
#undef JSON_OBJECT
#undef JSON_REAL
#undef json_copy
#undef json_equal
#undef json_is_array
#undef json_is_object
#undef json_real

/* A struct json is jansson's json_t; it is never const inside, because it carries its count. */
static json_t *in(const struct json *value)
{
	return (json_t *)(uintptr_t)value;
}

static struct json *out(json_t *value)
{
	return (struct json *)value;
}

/* jansson answers NULL where memory ran out; everything else that could fail is checked before. */
static struct json *made(json_t *value)
{
	if (!value) {
		fputs("error: out of memory (a JSON value was needed)\n", stderr);
		exit(3);
	}
	return out(value);
}

/* Where text[offset] is, counted from 1. */
static void locate(struct str text, size_t offset, int *out_line, int *out_column)
{
	*out_line = 1;
	*out_column = 1;
	for (size_t i = 0; i < offset && i < text.size; i++) {
		if (text.data[i] == '\n') {
			++*out_line;
			*out_column = 1;
		} else if (((unsigned char)text.data[i] & 0xC0) != 0x80) {
			++*out_column;
		}
	}
}

static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at;
}

/* jansson recurses as deep as the text nests, so depth is checked before it sees the text. */
static bool check_depth(struct str text, size_t limit, const char *what, struct error *err)
{
	const char *end = text.data + text.size;
	size_t depth = 0;

	for (const char *at = text.data; at < end; at++) {
		if (*at == '"') {
			at = skip_string(at, end);
		} else if ((*at == '[' || *at == '{') && ++depth > limit) {
			int line, column;

			locate(text, (size_t)(at - text.data), &line, &column);
			return error_raise(err, ERROR_LIMIT,
				"%s:%d:%d: JSON nested deeper than %zu levels", what, line, column,
				limit);
		} else if ((*at == ']' || *at == '}') && depth) {
			depth--;
		}
	}
	return true;
}

bool json_parse(struct str text, const char *what, const struct json_limits *limits,
	struct json **out_value, struct error *err)
{
	size_t size_limit = limits && limits->size_bytes ? limits->size_bytes : 4 << 20;
	size_t depth_limit = limits && limits->depth ? limits->depth : 64;
	json_error_t reason = {0};

	if (text.size > size_limit)
		return error_raise(err, ERROR_LIMIT, "%s: JSON of %zu bytes, %zu are accepted",
			what, text.size, size_limit);
	if (str_trim(text).size == 0)
		return error_raise(err, ERROR_INVALID, "%s: empty, expected JSON", what);
	if (!check_depth(text, depth_limit, what, err))
		return false;
	json_t *value =
		json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &reason);
	if (!value) {
		int line, column;

		/* jansson's own line is 0 or -1 for some errors (bad UTF-8): its offset always holds. */
		locate(text, reason.position > 0 ? (size_t)reason.position - 1 : 0, &line, &column);
		return error_raise(err, ERROR_INVALID, "%s:%d:%d: %s", what, line, column,
			reason.text);
	}
	*out_value = out(value);
	return true;
}

struct json *json_null_new(void)
{
	return made(json_null());
}

struct json *json_bool_new(bool value)
{
	return made(json_boolean(value));
}

struct json *json_int_new(int64_t value)
{
	return made(json_integer(value));
}

/* jansson's constructor for reals shares its name with our accessor, so the value is packed. */
struct json *json_real_new(double value)
{
	return isfinite(value) ? made(json_pack("f", value)) : json_null_new();
}

struct json *json_text_new(const char *text)
{
	return text ? json_str_new(str_of(text)) : json_null_new();
}

/* Text is not checked to be UTF-8 here: writing replaces what is not. */
struct json *json_str_new(struct str text)
{
	return made(json_stringn_nocheck(text.data ? text.data : "", text.size));
}

struct json *json_text_format(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *text = memory_format_list(format, args);
	va_end(args);
	return json_text_new(text);
}

struct json *json_array_new(void)
{
	return made(json_array());
}

struct json *json_object_new(void)
{
	return made(json_object());
}

struct json *json_object_of(const char *key, ...)
{
	struct json *object = json_object_new();
	va_list args;

	va_start(args, key);
	while (key) {
		json_set(object, key, va_arg(args, struct json *));
		key = va_arg(args, const char *);
	}
	va_end(args);
	return object;
}

struct json *json_keep(const struct json *value)
{
	return out(json_incref(in(value)));
}

struct json *json_copy(const struct json *value)
{
	return value ? made(json_deep_copy(in(value))) : NULL;
}

void json_free(struct json **value)
{
	json_decref(in(*value));
	*value = NULL;
}

enum json_kind json_kind(const struct json *value)
{
	const json_t *v = in(value);

	if (json_is_string(v))
		return JSON_TEXT;
	if (json_is_integer(v))
		return JSON_INT;
	if (json_is_boolean(v))
		return JSON_BOOL;
	if (!v)
		return JSON_NULL;
	switch (json_typeof(v)) {
	case JANSSON_OBJECT:
		return JSON_OBJECT;
	case JANSSON_ARRAY:
		return JSON_ARRAY;
	case JANSSON_REAL:
		return JSON_REAL;
	case JANSSON_NULL:
	case JSON_STRING:
	case JSON_INTEGER:
	case JSON_TRUE:
	case JSON_FALSE:
		break;
	}
	return JSON_NULL;
}

bool json_is_object(const struct json *value)
{
	return json_kind(value) == JSON_OBJECT;
}

bool json_is_array(const struct json *value)
{
	return json_kind(value) == JSON_ARRAY;
}

bool json_is_text(const struct json *value)
{
	return json_kind(value) == JSON_TEXT;
}

static bool arrays_equal(const struct json *a, const struct json *b)
{
	if (json_count(a) != json_count(b))
		return false;
	for (size_t i = 0; i < json_count(a); i++)
		if (!json_equal(json_at(a, i), json_at(b, i)))
			return false;
	return true;
}

static bool objects_equal(const struct json *a, const struct json *b)
{
	if (json_count(a) != json_count(b))
		return false;
	for (json_each(member, a)) {
		const struct json *other = json_get(b, member.key);

		if (!other || !json_equal(member.value, other))
			return false;
	}
	return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
	enum json_kind kind = json_kind(a);

	if (kind != json_kind(b))
		return false;
	switch (kind) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return json_bool(a, false) == json_bool(b, false);
	case JSON_INT:
		return json_int(a, 0) == json_int(b, 0);
	case JSON_REAL:
		return !(json_real(a, 0) < json_real(b, 0)) && !(json_real(a, 0) > json_real(b, 0));
	case JSON_TEXT:
		return str_equal(json_str(a), json_str(b));
	case JSON_ARRAY:
		return arrays_equal(a, b);
	case JSON_OBJECT:
		return objects_equal(a, b);
	}
	return false;
}

struct json *json_get(const struct json *object, const char *key)
{
	return json_is_object(object) ? out(json_object_get(in(object), key)) : NULL;
}

struct json *json_at(const struct json *array, size_t index)
{
	return json_is_array(array) ? out(json_array_get(in(array), index)) : NULL;
}

size_t json_count(const struct json *value)
{
	if (json_is_object(value))
		return json_object_size(in(value));
	return json_is_array(value) ? json_array_size(in(value)) : 0;
}

const char *json_text(const struct json *value, const char *fallback)
{
	return json_is_text(value) ? json_string_value(in(value)) : fallback;
}

struct str json_str(const struct json *value)
{
	if (!json_is_text(value))
		return (struct str){0};
	return (struct str){json_string_value(in(value)), json_string_length(in(value))};
}

/* 2^63 is the first double beyond int64_t. */
static int64_t truncate_real(double real, int64_t fallback)
{
	return real >= -0x1p63 && real < 0x1p63 ? (int64_t)real : fallback;
}

int64_t json_int(const struct json *value, int64_t fallback)
{
	enum json_kind kind = json_kind(value);

	if (kind == JSON_REAL)
		return truncate_real(json_real_value(in(value)), fallback);
	return kind == JSON_INT ? json_integer_value(in(value)) : fallback;
}

double json_real(const struct json *value, double fallback)
{
	enum json_kind kind = json_kind(value);

	return kind == JSON_INT || kind == JSON_REAL ? json_number_value(in(value)) : fallback;
}

bool json_bool(const struct json *value, bool fallback)
{
	return json_kind(value) == JSON_BOOL ? json_boolean_value(in(value)) : fallback;
}

const char *json_get_text(const struct json *object, const char *key, const char *fallback)
{
	return json_text(json_get(object, key), fallback);
}

int64_t json_get_int(const struct json *object, const char *key, int64_t fallback)
{
	return json_int(json_get(object, key), fallback);
}

bool json_get_bool(const struct json *object, const char *key, bool fallback)
{
	return json_bool(json_get(object, key), fallback);
}

void json_set(struct json *object, const char *key, struct json *value)
{
	if (value)
		(void)json_object_set_new_nocheck(in(object), key, in(value));
}

void json_set_text(struct json *object, const char *key, const char *text)
{
	json_set(object, key, json_text_new(text));
}

void json_set_int(struct json *object, const char *key, int64_t value)
{
	json_set(object, key, json_int_new(value));
}

void json_set_real(struct json *object, const char *key, double value)
{
	json_set(object, key, json_real_new(value));
}

void json_set_bool(struct json *object, const char *key, bool value)
{
	json_set(object, key, json_bool_new(value));
}

void json_remove(struct json *object, const char *key)
{
	(void)json_object_del(in(object), key);
}

void json_append(struct json *array, struct json *value)
{
	if (value)
		(void)json_array_append_new(in(array), in(value));
}

void json_remove_at(struct json *array, size_t index)
{
	(void)json_array_remove(in(array), index);
}

static struct json_member member_at(void *iterator)
{
	if (!iterator)
		return (struct json_member){0};
	return (struct json_member){.key = json_object_iter_key(iterator),
		.value = out(json_object_iter_value(iterator)),
		.iterator = iterator};
}

struct json_member json_first(const struct json *object)
{
	return member_at(json_is_object(object) ? json_object_iter(in(object)) : NULL);
}

struct json_member json_following(const struct json *object, struct json_member member)
{
	return member_at(json_object_iter_next(in(object), member.iterator));
}
