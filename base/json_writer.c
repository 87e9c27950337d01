#include "base/json_writer.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

struct json_writer json_writer_start(struct buf *out)
{
	return (struct json_writer){.out = out};
}

/* Before each value: the comma, unless it is the first or stands behind its key. */
static void separate(struct json_writer *w)
{
	if (w->after_key)
		w->after_key = false;
	else if (w->comma[w->depth])
		buf_append_char(w->out, ',');
	w->comma[w->depth] = true;
}

static void begin(struct json_writer *w, char bracket)
{
	assert(w->depth < JSON_WRITER_DEPTH);
	separate(w);
	buf_append_char(w->out, bracket);
	w->comma[++w->depth] = false;
}

static void end(struct json_writer *w, char bracket)
{
	assert(w->depth > 0 && !w->after_key);
	w->depth--;
	buf_append_char(w->out, bracket);
}

void json_object_begin(struct json_writer *w)
{
	begin(w, '{');
}

void json_object_end(struct json_writer *w)
{
	end(w, '}');
}

void json_array_begin(struct json_writer *w)
{
	begin(w, '[');
}

void json_array_end(struct json_writer *w)
{
	end(w, ']');
}

void json_key(struct json_writer *w, const char *key)
{
	assert(!w->after_key);
	separate(w);
	json_quote(str_of(key), w->out);
	buf_append_char(w->out, ':');
	w->after_key = true;
}

void json_write_text(struct json_writer *w, const char *text)
{
	if (text)
		json_write_str(w, str_of(text));
	else
		json_write_null(w);
}

void json_write_str(struct json_writer *w, struct str text)
{
	separate(w);
	json_quote(text, w->out);
}

void json_write_format(struct json_writer *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *text = memory_format_list(format, args);
	va_end(args);
	json_write_text(w, text);
}

void json_write_int(struct json_writer *w, int64_t value)
{
	separate(w);
	buf_printf(w->out, "%" PRId64, value);
}

void json_write_real(struct json_writer *w, double value)
{
	separate(w);
	json_real_append(value, w->out);
}

void json_write_bool(struct json_writer *w, bool value)
{
	separate(w);
	buf_append_text(w->out, value ? "true" : "false");
}

void json_write_null(struct json_writer *w)
{
	separate(w);
	buf_append_text(w->out, "null");
}

void json_write_value(struct json_writer *w, const struct json *value)
{
	separate(w);
	json_write(value, w->out);
}

void json_write_time(struct json_writer *w, int64_t time_ms)
{
	char text[TIME_TEXT_SIZE];

	time_to_rfc3339(time_ms, text);
	json_write_text(w, text);
}

void json_put_text(struct json_writer *w, const char *key, const char *text)
{
	json_key(w, key);
	json_write_text(w, text);
}

void json_put_str(struct json_writer *w, const char *key, struct str text)
{
	json_key(w, key);
	json_write_str(w, text);
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
	json_key(w, key);
	json_write_int(w, value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	json_key(w, key);
	json_write_bool(w, value);
}

void json_put_time(struct json_writer *w, const char *key, int64_t time_ms)
{
	json_key(w, key);
	json_write_time(w, time_ms);
}

void json_put_value(struct json_writer *w, const char *key, const struct json *value)
{
	json_key(w, key);
	json_write_value(w, value);
}

void json_put_strings(struct json_writer *w, const char *key, const struct strings *list)
{
	json_key(w, key);
	json_array_begin(w);
	for (size_t i = 0; i < list->count; i++)
		json_write_text(w, list->items[i]);
	json_array_end(w);
}
