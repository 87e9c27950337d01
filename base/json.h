/*
 * json.h - JSON that came from somewhere: parsed with limits, looked at, changed, compared.
 *
 * For answers we write ourselves use base/json_writer.h: a tree costs 16 µs per KB.
 *
 * A `struct json` is a value of any kind. Objects keep the order of their members, so that a
 * document that is read, changed in one place and written again differs in that place only.
 *
 * Ownership  values are reference counted. Functions named *_new, json_parse, json_copy give the
 *            caller one reference (release with json_free); json_set and json_append TAKE the
 *            reference of the value given; json_get, json_at and iteration BORROW.
 * Null       looking into NULL or into the wrong kind finds nothing (NULL, the fallback, 0 items),
 *            so chains like json_text(json_get(json_get(a, "b"), "c"), "") need no checks between.
 * Limits     struct json_limits; duplicate keys are an error. The text must be UTF-8.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/error.h"

struct json;

enum json_kind {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_REAL,
	JSON_TEXT,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_limits {
	size_t size_bytes; /* 0 = 4 MiB */
	size_t depth;      /* 0 = 64 */
};

/*
 * Parses one document.
 *
 * what    what the text is, for errors: "manifest of rooms", "deploy/task.json"
 * limits  NULL for the defaults
 * Fails with ERROR_INVALID (with line and column), ERROR_LIMIT.
 */
bool json_parse(struct str text, const char *what, const struct json_limits *limits,
	struct json **out_value, struct error *err) must_use;

/* Reads and parses a file; limit_bytes 0 = 4 MiB. */
bool json_read_file(const char *path, size_t limit_bytes, struct json **out_value,
	struct error *err) must_use;

struct json *json_null_new(void) must_use;
struct json *json_bool_new(bool value) must_use;
struct json *json_int_new(int64_t value) must_use;
struct json *json_real_new(double value) must_use;
struct json *json_text_new(const char *text) must_use; /* NULL text gives JSON null */
struct json *json_str_new(struct str text) must_use;
struct json *json_text_format(const char *format, ...) must_use printf_like(1, 2);
struct json *json_array_new(void) must_use;
struct json *json_object_new(void) must_use;
/* Object from alternating keys and values ("a", json_int_new(1), "b", …, NULL); takes the values,
 * leaves out a key whose value is NULL. */
struct json *json_object_of(const char *key, ...) must_use __attribute__((sentinel));

struct json *json_keep(const struct json *value)
	must_use; /* one more reference to the same value */
struct json *json_copy(const struct json *value) must_use; /* deep copy; NULL for NULL */
void json_free(struct json **value);

enum json_kind json_kind(const struct json *value); /* JSON_NULL for NULL */
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_text(const struct json *value);
bool json_equal(const struct json *a, const struct json *b); /* order of members does not matter */

struct json *json_get(const struct json *object, const char *key);
struct json *json_at(const struct json *array, size_t index);
size_t json_count(const struct json *array_or_object);

const char *json_text(const struct json *value, const char *fallback);
struct str json_str(const struct json *value);
int64_t json_int(const struct json *value, int64_t fallback); /* a real is truncated */
double json_real(const struct json *value, double fallback);
bool json_bool(const struct json *value, bool fallback);

/* Shorthands for the commonest chain. */
const char *json_get_text(const struct json *object, const char *key, const char *fallback);
int64_t json_get_int(const struct json *object, const char *key, int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);

/* Takes value; replaces. A NULL value changes nothing. */
void json_set(struct json *object, const char *key, struct json *value);
void json_set_text(struct json *object, const char *key, const char *text);
void json_set_int(struct json *object, const char *key, int64_t value);
void json_set_real(struct json *object, const char *key, double value);
void json_set_bool(struct json *object, const char *key, bool value);
void json_remove(struct json *object, const char *key);
void json_append(struct json *array, struct json *value); /* takes value */
void json_remove_at(struct json *array, size_t index);

/* for (json_each(member, object)) … member.key, member.value (borrowed). Do not change the object. */
struct json_member {
	const char *key;
	struct json *value;
	void *iterator;
};
struct json_member json_first(const struct json *object);
struct json_member json_following(const struct json *object, struct json_member member);
#define json_each(member, object)                                                                  \
	struct json_member member = json_first(object);                                            \
	member.key;                                                                                \
	member = json_following(object, member)

/* Appends the value as compact JSON in member order, without a final newline. Whole reals keep
 * ".0"; NULL is written as null. */
void json_write(const struct json *value, struct buf *out);
/* The same with object members sorted bytewise: for comparing and hashing. */
void json_write_canonical(const struct json *value, struct buf *out);
/* Indented by two spaces, for people. */
void json_write_pretty(const struct json *value, struct buf *out);
/* One text with its quotes and escapes; bytes that are not UTF-8 become U+FFFD. */
void json_quote(struct str text, struct buf *out);
/* The shortest spelling that reads back as the same number; null for infinity and NaN. */
void json_real_append(double value, struct buf *out);

#endif
