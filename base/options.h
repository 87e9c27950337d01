/*
 * options.h - command lines: flags as a table, from which parsing, --help and shell completion all
 *             follow.
 *
 *     --name VALUE, --name=VALUE, --switch, -h; "--" ends the flags; flags and words may be mixed.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/buf.h"
#include "base/error.h"

enum option_kind {
	OPTION_SWITCH,   /* bool * */
	OPTION_TEXT,     /* const char **; borrowed from argv */
	OPTION_INT,      /* int64_t * */
	OPTION_DURATION, /* int64_t *, milliseconds; "30s" */
	OPTION_SIZE,     /* int64_t *, bytes; "4GiB" */
	OPTION_LIST,     /* struct strings *; may be given again */
	OPTION_CHOICE,   /* const char **; one of choices, "a|b|c" */
};

struct option_row {
	const char *name; /* without "--" */
	enum option_kind kind;
	void *target;
	const char *value; /* what the help calls the value: "DIR" */
	const char *help;
	const char *choices; /* OPTION_CHOICE */
};

struct option_set {
	const char *usage; /* "build SERVICE [--commit REV]" */
	const char *about; /* one line */
	const struct option_row *rows;
	size_t count;
	int word_min,
		word_max; /* how many words (non-flags) are allowed; word_max -1: any number */
};

/*
 * Parses arguments (without the program's and the command's name) into the rows' targets.
 *
 * out_words  the words in order, borrowed; freed by strings_free (copies)
 * Fails with ERROR_USAGE naming the flag, what was wrong and the nearest known flag.
 */
bool options_parse(const struct option_set *set, int argc, char *const *argv,
	struct strings *out_words, struct error *err) must_use;

/* Was --help or -h among the arguments (before "--")? */
bool options_ask_help(int argc, char *const *argv);
void options_print_help(FILE *out, const char *program, const struct option_set *set);

#endif
