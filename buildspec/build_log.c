#include "buildspec/build_log.h"

#include "base/memory.h"

void build_log_output(void *self, struct str piece)
{
	struct build_log *log = self;

	if (!piece.size)
		return;
	log->inside_line = piece.data[piece.size - 1] != '\n';
	log->take(log->self, piece);
}

char *build_log_mask(struct build_log *log, const char *text)
{
	return masker_text(&log->masker, text);
}

void build_log_line(struct build_log *log, const char *format, ...)
{
	scoped(buf_free) struct buf line = {0};
	va_list args;

	va_start(args, format);
	scoped(text_free) char *text = memory_format_list(format, args);
	va_end(args);
	scoped(text_free) char *masked = build_log_mask(log, text);
	struct str rest = str_trim(str_of(masked));

	if (log->inside_line)
		buf_append_char(&line, '\n');
	for (const char *indent = ""; rest.data; indent = "  ") {
		struct str row = str_cut(&rest, '\n');

		buf_printf(&line, "[build] %s%.*s\n", indent, str_args(row));
	}
	build_log_output(log, buf_str(&line));
}

void build_log_free(struct build_log *log)
{
	masker_free(&log->masker);
}
