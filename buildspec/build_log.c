#include "buildspec/build_log.h"

#include "base/memory.h"

static void pass(struct build_log *log, struct str piece)
{
	if (!piece.size)
		return;
	log->inside_line = piece.data[piece.size - 1] != '\n';
	log->take(log->self, piece);
}

/* A line of our own, masked already. */
static void pass_line(struct build_log *log, const char *text)
{
	scoped(buf_free) struct buf line = {0};
	struct str rest = str_trim(str_of(text));

	if (log->inside_line)
		buf_append_char(&line, '\n');
	for (const char *indent = ""; rest.data; indent = "  ") {
		struct str row = str_cut(&rest, '\n');

		buf_printf(&line, "[build] %s%.*s\n", indent, str_args(row));
	}
	pass(log, buf_str(&line));
}

void build_log_output(void *self, struct str piece)
{
	struct build_log *log = self;
	int64_t room = log->limit_bytes - log->taken_bytes;
	bool full = log->limit_bytes && (int64_t)piece.size > room;

	log->taken_bytes += (int64_t)piece.size;
	if (!full) {
		pass(log, piece);
	} else if (room >= 0) {
		pass(log, (struct str){piece.data, (size_t)room});
		scoped(text_free) char *line = memory_format("the log has reached its limit of "
							     "%lld bytes: what commands print from "
							     "here on is dropped",
			(long long)log->limit_bytes);

		pass_line(log, line);
	}
}

void build_log_end(struct build_log *log)
{
	scoped(buf_free) struct buf rest = {0};

	masker_flush(&log->masker, &rest);
	build_log_output(log, buf_str(&rest));
	int64_t dropped = log->limit_bytes ? log->taken_bytes - log->limit_bytes : 0;

	if (dropped > 0)
		build_log_line(log,
			"%lld bytes of output were dropped: the log's limit is %lld bytes",
			(long long)dropped, (long long)log->limit_bytes);
}

char *build_log_mask(struct build_log *log, const char *text)
{
	return masker_text(&log->masker, text);
}

static void pass_waiting(void *self, struct buf *out)
{
	struct build_log *log = self;

	build_log_output(log, buf_str(out));
	buf_clear(out);
	pass_line(log, log->lines.items[log->lines_passed++]);
	if (log->lines_passed < log->lines.count)
		return;
	strings_free(&log->lines);
	log->lines_passed = 0;
}

void build_log_line(struct build_log *log, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *text = memory_format_list(format, args);
	va_end(args);
	strings_add_owned(&log->lines, build_log_mask(log, text));
	log->masker.paused = pass_waiting;
	log->masker.self = log;
	masker_pause(&log->masker);
}

void build_log_free(struct build_log *log)
{
	masker_free(&log->masker);
	strings_free(&log->lines);
}
