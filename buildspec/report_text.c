#include "buildspec/report_text.h"

#include <stdlib.h>

void report_cut(struct buf *out, const char *text, size_t size_max)
{
	struct str piece = str_of(text);

	buf_clear(out);
	if (piece.size > size_max) {
		piece.size = size_max;
		/* Not in the middle of a character: bytes 10xxxxxx are never its first. */
		while (piece.size && ((unsigned char)text[piece.size] & 0xc0) == 0x80)
			piece.size--;
	}
	buf_append_str(out, piece);
}

struct str report_first_line(struct str text)
{
	while (text.size) {
		struct str line = str_trim(str_cut(&text, '\n'));

		if (line.size)
			return line;
	}
	return (struct str){0};
}

enum { NUMBER_SIZE = 32 };

/* Into what strtod() reads: a comma is either for thousands, when a point follows, or the point. */
static void without_commas(const char *text, char *out)
{
	bool has_point = strchr(text, '.') != NULL;
	size_t size = 0;

	for (; *text && size < NUMBER_SIZE - 1; text++)
		if (*text != ',')
			out[size++] = *text;
		else if (!has_point)
			out[size++] = '.';
	out[size] = '\0';
}

int64_t report_seconds(const char *text)
{
	const double longest = 1e9; /* thirty years */
	char number[NUMBER_SIZE];

	if (!text)
		return 0;
	without_commas(text, number);
	double seconds = strtod(number, NULL);

	if (!(seconds > 0)) /* not a number, too */
		return 0;
	return (int64_t)((seconds < longest ? seconds : longest) * 1e6 + 0.5);
}

int64_t report_number(const char *text)
{
	int64_t number = 0;

	return text && str_to_int(str_trim(str_of(text)), &number) && number > 0 ? number : 0;
}
