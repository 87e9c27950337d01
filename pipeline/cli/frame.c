#include "pipeline/cli/frame.h"

#include "base/json_writer.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/cli/cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_WORDS = 3, COMMANDS_MAX = 128, ROWS_MAX = 64 };

char *frame_state_folder(const char *flag)
{
	const char *state = getenv("DOGSHORE_STATE"), *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	scoped(text_free) char *chosen = NULL, *here = NULL;

	if (flag && *flag)
		chosen = memory_copy_text(flag);
	else if (state && *state)
		chosen = memory_copy_text(state);
	else if (xdg && *xdg)
		chosen = path_join(xdg, "dogshore");
	else if (home && *home)
		chosen = path_join(home, ".local/state/dogshore");
	else
		chosen = memory_copy_text("/var/lib/dogshore");
	if (chosen[0] != '/')
		here = getcwd(NULL, 0);
	scoped(text_free) char *whole = path_join(here ? here : "/", chosen);

	return path_normalise(whole);
}

/* Does name start with exactly these words? Compares "image build" with {"image", "build"}. */
static int words_of_name(const char *name, int count, char *const *arguments)
{
	int used = 0;

	while (*name) {
		size_t size = strcspn(name, " ");

		if (used >= count || strlen(arguments[used]) != size ||
			strncmp(arguments[used], name, size) != 0)
			return 0;
		used++;
		name += size;
		name += *name == ' ';
	}
	return used;
}

const struct command *frame_find(int count, char *const *arguments, int *out_used)
{
	const struct command *best = NULL;
	int best_used = 0;

	for (size_t i = 0; commands[i]; i++) {
		int used = words_of_name(commands[i]->name, count, arguments);

		if (used > best_used) {
			best = commands[i];
			best_used = used;
		}
	}
	if (best)
		*out_used = best_used;
	return best;
}

size_t frame_rows(const struct option_set *own, struct frame_values *values,
	struct option_row *out_rows)
{
	const struct option_row common[FRAME_ROWS] = {
		{"json", OPTION_SWITCH, &values->json, NULL, "print one JSON document on stdout",
			NULL},
		{"ledger", OPTION_TEXT, &values->ledger, "URL",
			"where runs are recorded (DOGSHORE_LEDGER; default: in the state folder)",
			NULL},
		{"state", OPTION_TEXT, &values->state, "DIR",
			"the state folder (DOGSHORE_STATE; default: ~/.local/state/dogshore)",
			NULL},
		{"trace", OPTION_TEXT, &values->trace, "LIST",
			"show what these components do: \"engine,aws\" or \"all\"", NULL},
		{"help", OPTION_SWITCH, &values->help, NULL, "print this", NULL},
	};
	size_t count = own->count;

	if (count)
		memcpy(out_rows, own->rows, count * sizeof(*out_rows));
	for (size_t i = 0; i < countof(common); i++) {
		bool taken = false;

		for (size_t j = 0; j < own->count; j++)
			taken |= strcmp(own->rows[j].name, common[i].name) == 0;
		if (!taken)
			out_rows[count++] = common[i];
	}
	return count;
}

/* Lists the commands whose name starts with group ("image "), or all for "". */
static bool print_commands(FILE *out, const char *group)
{
	bool any = false;

	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->hidden || !text_starts_with(commands[i]->name, group))
			continue;
		if (!any)
			fprintf(out, "usage: dogshore %sCOMMAND [flags]\n\ncommands:\n", group);
		fprintf(out, "  %-18s %s\n", commands[i]->name, commands[i]->options->about);
		any = true;
	}
	if (any)
		fprintf(out, "\n\"dogshore %sCOMMAND --help\" explains one.\n", group);
	return any;
}

static int finish(struct command_context *context, bool done, struct error *err, bool where,
	bool json)
{
	cancel_too_late();
	if (!done) {
		fflush(stdout);
		error_next_by_reason(err);
		error_print(stderr, err, where);
	}
	if (json && !done && context->result.size == 0) {
		struct json_writer w = json_writer_start(&context->result);

		json_object_begin(&w);
		json_put_text(&w, "status", "failed");
		json_key(&w, "error");
		json_object_begin(&w);
		json_put_text(&w, "kind", error_kind_name(err->kind));
		json_put_text(&w, "message", err->message);
		json_key(&w, "while");
		json_array_begin(&w);
		for (size_t i = 0; i < err->context_count; i++)
			json_write_text(&w, err->contexts[i]);
		json_array_end(&w);
		json_put_text(&w, "next", err->next);
		json_object_end(&w);
		json_object_end(&w);
	}
	if (json) {
		fwrite(context->result.data, 1, context->result.size, stdout);
		fputc('\n', stdout);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "error: write the result to stdout: %s\n", strerror(errno));
		return 3;
	}
	return done ? context->exit_status : error_exit_status(err->kind);
}

static int run_command(const struct command *command, int argc, char *const *argv)
{
	scoped(error_free) struct error err = {0};
	struct command_context context = {0};
	struct frame_values values = {0};
	struct option_row rows[ROWS_MAX + FRAME_ROWS];
	struct option_set set = *command->options;

	set.rows = rows;
	set.count = frame_rows(command->options, &values, rows);
	if (options_ask_help(argc, argv)) {
		options_print_help(stdout, "dogshore", &set);
		return 0;
	}
	bool done = options_parse(&set, argc, argv, &context.words, &err);

	/* A command line that cannot be parsed may still ask for its errors as JSON. */
	for (int i = 0; !done && i < argc && strcmp(argv[i], "--") != 0; i++)
		values.json |= strcmp(argv[i], "--json") == 0;
	if (values.trace)
		log_trace_enable(values.trace);
	scoped(text_free) char *state = frame_state_folder(values.state);
	const char *ledger = values.ledger ? values.ledger : getenv("DOGSHORE_LEDGER");
	scoped(text_free) char *url = ledger && *ledger
					      ? memory_copy_text(ledger)
					      : memory_format("sqlite:%s/ledger.db", state);

	context.json = values.json;
	context.state = state;
	context.ledger = url;
	if (done)
		done = command->run(&context, &err);
	else
		error_next(&err, "dogshore %s --help", command->name);
	int status = finish(&context, done, &err, values.trace != NULL, values.json);

	strings_free(&context.words);
	buf_free(&context.result);
	return status;
}

/* No command of that name: says so with the nearest one. */
static int unknown_command(int count, char *const *words)
{
	const char *names[COMMANDS_MAX] = {0};
	size_t known = 0;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf two = {0};

	for (size_t i = 0; commands[i] && known < countof(names); i++)
		if (!commands[i]->hidden)
			names[known++] = commands[i]->name;
	const char *nearest = text_nearest(words[0], names, known);

	if (!nearest && count > 1) {
		buf_printf(&two, "%s %s", words[0], words[1]);
		nearest = text_nearest(buf_text(&two), names, known);
	}
	error_raise(&err, ERROR_USAGE, "there is no command \"%s\"",
		nearest && two.size ? buf_text(&two) : words[0]);
	if (nearest)
		error_next(&err, "did you mean \"dogshore %s\"?", nearest);
	error_next(&err, "\"dogshore --help\" lists the commands");
	error_print(stderr, &err, false);
	return error_exit_status(err.kind);
}

/* Common flags may stand before the command's name. Moves them behind it, so that there is one
 * place that parses; returns how many arguments they are. */
static int leading_flags(int argc, char *const *argv)
{
	int used = 0;

	while (used < argc && argv[used][0] == '-') {
		bool valued = strcmp(argv[used], "--trace") == 0 ||
			      strcmp(argv[used], "--ledger") == 0 ||
			      strcmp(argv[used], "--state") == 0;

		used += valued && used + 1 < argc ? 2 : 1;
	}
	return used;
}

static int run_named(int flag_count, char *const *flags, int argc, char *const *words)
{
	int used = 0;
	const struct command *command = frame_find(argc, words, &used);
	scoped(text_free) char *group = memory_format("%s ", words[0]);

	if (!command) {
		bool help = argc > 1 ? options_ask_help(argc - 1, words + 1) : false;
		bool alone = argc < 2 || words[1][0] == '-';

		if (alone && print_commands(help ? stdout : stderr, group))
			return help ? 0 : 2;
		return unknown_command(argc, words);
	}
	char **arguments = memory_new_array((size_t)(flag_count + argc + 1), sizeof(*arguments));

	for (int i = 0; i < flag_count; i++)
		arguments[i] = flags[i];
	for (int i = used; i < argc; i++)
		arguments[flag_count + i - used] = words[i];
	int status = run_command(command, flag_count + argc - used, arguments);

	free(arguments);
	return status;
}

int frame_main(int argc, char **argv)
{
	char help[] = "--help", *ask = help;
	int flags = leading_flags(argc - 1, argv + 1);
	int words = argc - 1 - flags;
	char **rest = argv + 1 + flags;

	for (int i = 1; i <= flags; i++)
		if (strcmp(argv[i], "--version") == 0) {
			printf("dogshore %s\n", DOGSHORE_VERSION);
			return fflush(stdout) == 0 ? 0 : 3;
		}
	if (words > 0 && strcmp(rest[0], "help") == 0) {
		flags = 1;
		words--;
		rest++;
		if (words > 0)
			return run_named(1, &ask, words, rest);
	}
	if (words < 1) {
		bool asked = flags > 0 && (argv[1] == rest[0] || strcmp(argv[1], "help") == 0 ||
						  options_ask_help(flags, argv + 1));

		print_commands(asked ? stdout : stderr, "");
		return asked ? 0 : 2;
	}
	return run_named(flags, argv + 1, words, rest);
}
