/*
 * Makes any bytes harmless for a terminal, whole and in pieces. Both must agree; what is shown is UTF-8
 * without other controls than tab, newline, carriage return and escape sequences of digits that end
 * with m or K.
 *
 * Input: size of the pieces (one byte), the bytes.
 */
#include "base/terminal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(struct str text, size_t step, struct buf *out)
{
	struct terminal_filter filter = {0};

	for (size_t at = 0; at < text.size; at += step)
		terminal_filter_feed(&filter,
			(struct str){text.data + at, step < text.size - at ? step : text.size - at},
			out);
	terminal_filter_flush(&filter, out);
}

static void check(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == 0x1b && i + 1 < size && text[i + 1] == '[') {
			i += 2;
			i += strspn(text + i, "0123456789;:");
			if (i >= size || (text[i] != 'm' && text[i] != 'K'))
				abort();
		} else if (((unsigned char)text[i] < ' ' && !strchr("\t\n\r", text[i])) ||
			   text[i] == 0 || text[i] == 0x7f) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(buf_free) struct buf whole = {0}, pieces = {0};

	if (size < 2)
		return 0;
	struct str text = {(const char *)data + 1, size - 1};

	show(text, text.size, &whole);
	show(text, data[0] ? data[0] : 1, &pieces);
	if (!str_equal(buf_str(&whole), buf_str(&pieces)) || !str_is_utf8(buf_str(&whole)))
		abort();
	check(buf_text(&whole), whole.size);
	return 0;
}
