#include "builders/executor/depfile.h"

/* Reads words; a line that goes on after a backslash is one line. */
struct reading {
	struct str rest;
	struct buf word;
	bool colon;       /* the word ended with a colon that is no part of it */
	bool end_of_line; /* there was no word any more */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char at(const struct reading *reading, size_t i)
{
	return i < reading->rest.size ? reading->rest.data[i] : '\n';
}

static void drop(struct reading *reading, size_t count)
{
	reading->rest.data += count;
	reading->rest.size -= count;
}

/* The line break after a backslash: 2 or 3 characters; 0: there is none. */
static size_t continuation(const struct reading *reading)
{
	if (at(reading, 0) != '\\' || reading->rest.size < 2)
		return 0;
	if (at(reading, 1) == '\n')
		return 2;
	return at(reading, 1) == '\r' && reading->rest.size > 2 && at(reading, 2) == '\n' ? 3 : 0;
}

static void skip_blanks(struct reading *reading)
{
	for (;;) {
		size_t more = continuation(reading);

		if (more)
			drop(reading, more);
		else if (reading->rest.size && is_blank(at(reading, 0)))
			drop(reading, 1);
		else
			return;
	}
}

/* Before a blank every second backslash quotes; an odd one quotes the blank. Elsewhere they are
 * themselves, but for "\#". False: the word ends here. */
static bool take_backslashes(struct reading *reading)
{
	size_t count = 0;

	while (at(reading, count) == '\\' && count < reading->rest.size)
		count++;
	char behind = at(reading, count);
	bool blank = behind == ' ' || behind == '\t';
	bool quotes = (blank || behind == '#') && count % 2;
	size_t written = blank ? count / 2 : quotes ? count - 1 : count;

	/* The last one before a line break is the line's. */
	if (behind == '\n' && count < reading->rest.size)
		written = --count;
	for (size_t i = 0; i < written; i++)
		buf_append_char(&reading->word, '\\');
	if (quotes)
		buf_append_char(&reading->word, behind);
	drop(reading, count + quotes);
	return quotes || !blank;
}

static bool take_one(struct reading *reading)
{
	char c = at(reading, 0);

	if (c == '\\')
		return take_backslashes(reading);
	if (c == '$' && at(reading, 1) == '$' && reading->rest.size > 1)
		drop(reading, 1);
	buf_append_char(&reading->word, c);
	drop(reading, 1);
	return true;
}

static bool ends_word(const struct reading *reading)
{
	return !reading->rest.size || at(reading, 0) == '\n' || is_blank(at(reading, 0)) ||
	       continuation(reading);
}

/* In front of the colon: targets end at one that a blank or the line's end follows. */
static void next_word(struct reading *reading, bool targets)
{
	buf_clear(&reading->word);
	reading->colon = false;
	skip_blanks(reading);
	reading->end_of_line = !reading->rest.size || at(reading, 0) == '\n';
	while (!ends_word(reading)) {
		if (targets && at(reading, 0) == ':') {
			struct reading behind = *reading;

			drop(&behind, 1);
			if (ends_word(&behind)) {
				drop(reading, 1);
				reading->colon = true;
				return;
			}
		}
		if (!take_one(reading))
			return;
	}
}

/* One rule, or an empty line. False: words without a colon. */
static bool read_line(struct reading *reading, struct strings *files)
{
	bool targets = true, any = false;

	for (;;) {
		next_word(reading, targets);
		if (reading->colon) {
			targets = false;
			any = true;
			continue;
		}
		if (reading->end_of_line)
			break;
		any = true;
		if (!targets && reading->word.size)
			strings_add(files, buf_text(&reading->word));
	}
	if (reading->rest.size)
		drop(reading, 1);
	return !any || !targets;
}

bool depfile_parse(struct str text, struct strings *out_files)
{
	struct reading reading = {.rest = text};
	scoped(strings_free) struct strings files = {0};
	bool good = text.size > 0 && !memchr(text.data, 0, text.size);

	while (good && reading.rest.size)
		good = read_line(&reading, &files);
	buf_free(&reading.word);
	for (size_t i = 0; good && i < files.count; i++)
		strings_add(out_files, files.items[i]);
	return good;
}
