#include "base/terminal.h"

/*
 *               ESC             [             m, K: passed on; other finals: dropped
 *     TEXT ----------> ESCAPE -------> CONTROL -------------------------------------> TEXT
 *       |                 | ] P X ^ _          any other end: dropped
 *       |                 +-----------> STRING ---- BEL, ESC \ ----> TEXT
 *       | lead byte       | SP to /
 *       +------> UTF8     +-----------> CHARSET ---- one more ----> TEXT
 *
 * A newline ends all of them: a sequence that never ends swallows no more than its line.
 */
enum {
	TEXT,
	UTF8,
	ESCAPE,
	CONTROL,
	CHARSET,
	STRING,
	STRING_ESCAPE,
};

static bool is_plain(char c)
{
	return (unsigned char)c >= ' ' && (unsigned char)c < 0x7f;
}

static void spell(struct buf *out, unsigned char c)
{
	buf_printf(out, "\\x%02x", c);
}

/* One whole character of UTF-8, of two bytes or more. */
static void put_character(struct str c, struct buf *out)
{
	const unsigned char *at = (const unsigned char *)c.data;
	bool turns = c.size == 3 && at[0] == 0xe2 &&
		     ((at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae) ||
			     (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));

	if (turns)
		buf_printf(out, "\\u%04x",
			(at[0] & 0xfu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu));
	else if (at[0] == 0xc2 && at[1] < 0xa0) /* C1 controls */
		spell(out, at[1]);
	else
		buf_append_str(out, c);
}

static void spell_held(struct terminal_filter *filter, struct buf *out)
{
	for (size_t i = 0; i < filter->held_size; i++)
		spell(out, (unsigned char)filter->held[i]);
	filter->held_size = 0;
	filter->state = TEXT;
}

static void hold(struct terminal_filter *filter, char c)
{
	if (filter->held_size < TERMINAL_SEQUENCE)
		filter->held[filter->held_size++] = c;
}

static void in_text(struct terminal_filter *filter, char c, struct buf *out)
{
	unsigned char byte = (unsigned char)c;

	if (byte == 0x1b) {
		filter->state = ESCAPE;
	} else if (byte >= 0x80) {
		filter->held_size = 0;
		hold(filter, c);
		filter->state = UTF8;
		if (byte < 0xc2 || byte > 0xf4)
			spell_held(filter, out);
	} else if ((byte < ' ' && !strchr("\t\n\r", c)) || byte == 0 || byte == 0x7f) {
		spell(out, byte);
	} else {
		buf_append_char(out, c);
	}
}

static void in_utf8(struct terminal_filter *filter, char c, struct buf *out)
{
	static const unsigned char leads[] = {0xc2, 0xe0, 0xf0};
	size_t wanted = 1;

	if (((unsigned char)c & 0xc0) != 0x80) {
		spell_held(filter, out);
		in_text(filter, c, out);
		return;
	}
	hold(filter, c);
	for (size_t i = 0; i < sizeof(leads); i++)
		wanted += (unsigned char)filter->held[0] >= leads[i];
	if (filter->held_size < wanted)
		return;
	struct str whole = {filter->held, filter->held_size};

	if (utf8_length(whole) != wanted) {
		spell_held(filter, out);
		return;
	}
	put_character(whole, out);
	filter->state = TEXT;
}

static void in_escape(struct terminal_filter *filter, char c)
{
	filter->held_size = 0;
	if (c == '[')
		filter->state = CONTROL;
	else if (c && strchr("]PX^_", c))
		filter->state = STRING;
	else if (c >= ' ' && c <= '/')
		filter->state = CHARSET;
	else
		filter->state = c == 0x1b ? ESCAPE : TEXT;
}

static void in_control(struct terminal_filter *filter, char c, struct buf *out)
{
	bool plain = true;

	if (c >= ' ' && c <= '?') {
		hold(filter, c);
		return;
	}
	for (size_t i = 0; i < filter->held_size; i++)
		plain = plain && strchr("0123456789;:", filter->held[i]) && filter->held[i];
	if (plain && (c == 'm' || c == 'K') && filter->held_size < TERMINAL_SEQUENCE)
		buf_printf(out, "\x1b[%.*s%c", (int)filter->held_size, filter->held, c);
	filter->state = c == 0x1b ? ESCAPE : TEXT;
}

static void in_string(struct terminal_filter *filter, char c)
{
	if (c == 0x07 || (filter->state == STRING_ESCAPE && c == '\\'))
		filter->state = TEXT;
	else
		filter->state = c == 0x1b ? STRING_ESCAPE : STRING;
}

static void take(struct terminal_filter *filter, char c, struct buf *out)
{
	if (c == '\n' && filter->state > UTF8)
		filter->state = TEXT;
	switch (filter->state) {
	case TEXT:
		in_text(filter, c, out);
		break;
	case UTF8:
		in_utf8(filter, c, out);
		break;
	case ESCAPE:
		in_escape(filter, c);
		break;
	case CONTROL:
		in_control(filter, c, out);
		break;
	case CHARSET:
		filter->state = c >= ' ' && c <= '/' ? CHARSET : TEXT;
		break;
	default:
		in_string(filter, c);
	}
}

void terminal_filter_feed(struct terminal_filter *filter, struct str piece, struct buf *out)
{
	for (size_t i = 0; i < piece.size; i++) {
		size_t plain = i;

		while (filter->state == TEXT && plain < piece.size && is_plain(piece.data[plain]))
			plain++;
		buf_append(out, piece.data + i, plain - i);
		i = plain;
		if (i < piece.size)
			take(filter, piece.data[i], out);
	}
}

void terminal_filter_flush(struct terminal_filter *filter, struct buf *out)
{
	if (filter->state == UTF8)
		spell_held(filter, out);
	filter->state = TEXT;
}

void terminal_print(FILE *out, struct str text)
{
	scoped(buf_free) struct buf shown = {0};

	while (text.size > 0) {
		size_t size = utf8_length(text);

		if (size > 1)
			put_character((struct str){text.data, size}, &shown);
		else if (size == 1 && (is_plain(text.data[0]) || text.data[0] == '\t'))
			buf_append_char(&shown, text.data[0]);
		else
			spell(&shown, (unsigned char)text.data[0]);
		size = size ? size : 1;
		text = (struct str){text.data + size, text.size - size};
	}
	fwrite(shown.data ? shown.data : "", 1, shown.size, out);
}
