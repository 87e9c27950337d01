#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_writer.h"

#include <stdlib.h>
#include <unistd.h>

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};

/* How this process logs; set up before threads start, read by all of them. */
static struct {
	enum log_shape shape;
	enum log_level least;
	int fd;
	struct strings keys, values; /* the fields of every line */
	struct strings traced;
} setup = {LOG_PLAIN, LOG_INFO, 2, {0}, {0}, {0}};

void log_setup(enum log_shape shape, enum log_level least, int fd)
{
	setup.shape = shape;
	setup.least = least;
	setup.fd = fd;
}

void log_set_field(const char *key, const char *value)
{
	for (size_t i = 0; i < setup.keys.count; i++) {
		if (!text_equal(setup.keys.items[i], key))
			continue;
		free(setup.values.items[i]);
		setup.values.items[i] = str_copy(str_of(value));
		return;
	}
	strings_add(&setup.keys, key);
	strings_add(&setup.values, value);
}

/* A log that cannot be written has nowhere to say so. */
static void put_line(const struct buf *line)
{
	struct error ignored = {0};

	if (!descriptor_write_all(setup.fd, line->data, line->size, "log", &ignored))
		error_ignore(&ignored, "nowhere to say it");
}

/* Line breaks and other control characters would let a value forge a line of its own. */
static void append_visible(struct buf *line, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n')
			buf_append_text(line, "\\n");
		else if (c < ' ' || c == 0x7f)
			buf_printf(line, "\\x%02x", c);
		else
			buf_append_char(line, (char)c);
	}
}

static void plain_field(struct buf *line, const char *key, const char *value)
{
	bool quote = !value[0] || strpbrk(value, " =\"");

	buf_printf(line, " %s=%s", key, quote ? "\"" : "");
	append_visible(line, value);
	if (quote)
		buf_append_char(line, '"');
}

static void plain_line(struct buf *line, enum log_level level, const char *message, va_list fields)
{
	const char *key;

	if (level != LOG_INFO)
		buf_printf(line, "%s: ", level_names[level]);
	append_visible(line, message);
	for (size_t i = 0; i < setup.keys.count; i++)
		plain_field(line, setup.keys.items[i], setup.values.items[i]);
	while ((key = va_arg(fields, const char *))) {
		const char *value = va_arg(fields, const char *);

		plain_field(line, key, value ? value : "");
	}
}

static void json_line(struct buf *line, enum log_level level, const char *message, va_list fields)
{
	struct json_writer w = json_writer_start(line);
	const char *key;

	json_object_begin(&w);
	json_put_time(&w, "time", clock_now(&system_clock));
	json_put_text(&w, "level", level_names[level]);
	json_put_text(&w, "message", message);
	for (size_t i = 0; i < setup.keys.count; i++)
		json_put_text(&w, setup.keys.items[i], setup.values.items[i]);
	while ((key = va_arg(fields, const char *)))
		json_put_text(&w, key, va_arg(fields, const char *));
	json_object_end(&w);
}

void log_write(enum log_level level, const char *message, ...)
{
	scoped(buf_free) struct buf line = {0};
	va_list fields;

	if (level < setup.least)
		return;
	va_start(fields, message);
	if (setup.shape == LOG_JSON)
		json_line(&line, level, message, fields);
	else
		plain_line(&line, level, message, fields);
	va_end(fields);
	buf_append_char(&line, '\n');
	put_line(&line);
}

void log_trace_enable(const char *components)
{
	struct str rest = str_of(components);

	while (rest.data) {
		struct str name = str_trim(str_cut(&rest, ','));

		if (name.size)
			strings_add_owned(&setup.traced, str_copy(name));
	}
}

bool log_traces(const char *component)
{
	return setup.traced.count &&
	       (strings_contain(&setup.traced, component) || strings_contain(&setup.traced, "all"));
}

void log_trace(const char *component, const char *format, ...)
{
	scoped(buf_free) struct buf line = {0}, text = {0};
	char time[TIME_TEXT_SIZE];
	va_list args;

	if (!log_traces(component))
		return;
	va_start(args, format);
	int size = vsnprintf(NULL, 0, format, args);

	va_end(args);
	if (size < 0)
		return;
	char *room = buf_reserve(&text, (size_t)size);

	va_start(args, format);
	vsnprintf(room, (size_t)size + 1, format, args);
	va_end(args);
	text.size += (size_t)size;
	time_to_rfc3339(clock_now(&system_clock), time);
	buf_printf(&line, "%s %s: ", time, component);
	append_visible(&line, buf_text(&text));
	buf_append_char(&line, '\n');
	put_line(&line);
}
