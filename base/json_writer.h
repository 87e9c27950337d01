/*
 * json_writer.h - writes JSON straight into a buf, in the order of the calls.
 *
 *     json_object_begin(&w); json_key(&w, "run"); json_write_text(&w, id); json_object_end(&w);
 *
 * Commas and escaping are the writer's business; balancing begin and end is the caller's (asserted).
 * Bytes that are not UTF-8 are written as U+FFFD, so the output always is.
 */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include "base/buf.h"
#include "base/json.h"

enum { JSON_WRITER_DEPTH = 64 };

struct json_writer {
	struct buf *out; /* borrowed */
	unsigned depth;
	bool comma[JSON_WRITER_DEPTH + 1]; /* does the next value at this depth need a comma? */
	bool after_key;
};

struct json_writer json_writer_start(struct buf *out);
void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_write_text(struct json_writer *w, const char *text); /* NULL writes null */
void json_write_str(struct json_writer *w, struct str text);
void json_write_format(struct json_writer *w, const char *format, ...) printf_like(2, 3);
void json_write_int(struct json_writer *w, int64_t value);
void json_write_real(struct json_writer *w, double value);
void json_write_bool(struct json_writer *w, bool value);
void json_write_null(struct json_writer *w);
void json_write_value(struct json_writer *w, const struct json *value);
/* RFC 3339 in UTC with milliseconds, as all our JSON has it. */
void json_write_time(struct json_writer *w, int64_t time_ms);

/* Key and value in one call. */
void json_put_text(struct json_writer *w, const char *key, const char *text);
void json_put_str(struct json_writer *w, const char *key, struct str text);
void json_put_int(struct json_writer *w, const char *key, int64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_time(struct json_writer *w, const char *key, int64_t time_ms);
void json_put_value(struct json_writer *w, const char *key, const struct json *value);
void json_put_strings(struct json_writer *w, const char *key, const struct strings *list);

#endif
