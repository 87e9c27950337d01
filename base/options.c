#include "base/options.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"

#include <stdlib.h>

static const struct option_row *find(const struct option_set *set, struct str name)
{
	for (size_t i = 0; i < set->count; i++)
		if (str_equal_text(name, set->rows[i].name))
			return &set->rows[i];
	return NULL;
}

static bool raise_unknown(const struct option_set *set, struct str name, struct error *err)
{
	scoped(text_free) char *word = str_copy(name);
	const char **names = memory_new_array(set->count + 1, sizeof(*names));

	for (size_t i = 0; i < set->count; i++)
		names[i] = set->rows[i].name;
	names[set->count] = "help";
	const char *nearest = text_nearest(word, names, set->count + 1);

	free(names);
	error_raise(err, ERROR_USAGE, "there is no flag --%s", word);
	if (nearest)
		return error_next(err, "did you mean --%s?", nearest);
	return error_next(err, "see all flags with --help");
}

static bool is_choice(const char *choices, const char *value)
{
	struct str rest = str_of(choices);

	while (rest.data)
		if (str_equal_text(str_cut(&rest, '|'), value))
			return true;
	return false;
}

static bool set_value(const struct option_row *row, const char *value, struct error *err)
{
	switch (row->kind) {
	case OPTION_TEXT:
		*(const char **)row->target = value;
		return true;
	case OPTION_LIST:
		strings_add(row->target, value);
		return true;
	case OPTION_INT:
		if (!str_to_int(str_of(value), row->target))
			return error_raise(err, ERROR_USAGE, "--%s \"%s\" is not a whole number",
				row->name, value);
		return true;
	case OPTION_DURATION:
		if (duration_parse(str_of(value), row->target))
			return true;
		error_raise(err, ERROR_USAGE, "--%s \"%s\" is not a duration", row->name, value);
		return error_next(err, "write a number and its unit: 500ms, 30s, 10m, 2h or 7d");
	case OPTION_SIZE:
		if (size_parse(str_of(value), row->target))
			return true;
		error_raise(err, ERROR_USAGE, "--%s \"%s\" is not a size", row->name, value);
		return error_next(err, "write a number and its unit: 512MiB, 4GiB or 1TiB");
	case OPTION_CHOICE:
		if (!is_choice(row->choices, value))
			return error_raise(err, ERROR_USAGE, "--%s \"%s\" is not one of %s",
				row->name, value, row->choices);
		*(const char **)row->target = value;
		return true;
	case OPTION_SWITCH:
		break;
	}
	return error_raise(err, ERROR_USAGE, "--%s takes no value", row->name);
}

/* argv[*at] begins with "--"; moves *at on to the value when that is an argument of its own. */
static bool take_flag(const struct option_set *set, int argc, char *const *argv, int *at,
	struct error *err)
{
	const char *equals = strchr(argv[*at], '=');
	struct str name = str_of(argv[*at] + 2);

	if (equals)
		name.size = (size_t)(equals - name.data);
	const struct option_row *row = find(set, name);

	if (!row)
		return raise_unknown(set, name, err);
	if (equals)
		return set_value(row, equals + 1, err);
	if (row->kind == OPTION_SWITCH) {
		*(bool *)row->target = true;
		return true;
	}
	if (*at + 1 >= argc)
		return error_raise(err, ERROR_USAGE, "--%s needs a value: --%s %s", row->name,
			row->name, row->value ? row->value : "VALUE");
	return set_value(row, argv[++*at], err);
}

static bool check_word_count(const struct option_set *set, const struct strings *words,
	struct error *err)
{
	if (set->word_max >= 0 && words->count > (size_t)set->word_max)
		error_raise(err, ERROR_USAGE, "\"%s\" is one argument too many",
			words->items[set->word_max]);
	else if (words->count < (size_t)set->word_min)
		error_raise(err, ERROR_USAGE, "an argument is missing");
	else
		return true;
	return error_next(err, "usage: dogshore %s", set->usage);
}

bool options_parse(const struct option_set *set, int argc, char *const *argv,
	struct strings *out_words, struct error *err)
{
	scoped(strings_free) struct strings words = {0};
	bool flags = true;

	for (int i = 0; i < argc; i++) {
		if (flags && text_equal(argv[i], "--")) {
			flags = false;
		} else if (flags && text_starts_with(argv[i], "--")) {
			if (!take_flag(set, argc, argv, &i, err))
				return false;
		} else if (flags && argv[i][0] == '-' && argv[i][1]) {
			error_raise(err, ERROR_USAGE, "there is no flag %s", argv[i]);
			return error_next(err, "see all flags with --help");
		} else {
			strings_add(&words, argv[i]);
		}
	}
	if (!check_word_count(set, &words, err))
		return false;
	*out_words = words;
	words = (struct strings){0};
	return true;
}

bool options_ask_help(int argc, char *const *argv)
{
	for (int i = 0; i < argc && !text_equal(argv[i], "--"); i++)
		if (text_equal(argv[i], "--help") || text_equal(argv[i], "-h"))
			return true;
	return false;
}

void options_print_help(FILE *out, const char *program, const struct option_set *set)
{
	fprintf(out, "usage: %s %s\n\n%s\n", program, set->usage, set->about);
	if (set->count)
		fputs("\nflags:\n", out);
	for (size_t i = 0; i < set->count; i++) {
		const struct option_row *row = &set->rows[i];
		const char *value = row->kind == OPTION_SWITCH ? NULL
				    : row->value               ? row->value
				    : row->choices             ? row->choices
							       : "VALUE";
		scoped(text_free) char *left =
			memory_format("--%s%s%s", row->name, value ? " " : "", value ? value : "");

		fprintf(out, "  %-26s %s%s\n", left, row->help ? row->help : "",
			row->kind == OPTION_LIST ? " (may be given again)" : "");
	}
}
