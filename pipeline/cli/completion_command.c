#include "pipeline/cli/frame.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Generated from the command table each time it is asked for, so it cannot go stale. */

enum { ROWS_MAX = 80 };

static size_t rows_of(const struct command *command, struct option_row *rows)
{
	static struct frame_values values;

	return frame_rows(command->options, &values, rows);
}

/* The first words of all names ("image" once), or the second words below a first one. */
static void append_names(struct buf *out, const char *group)
{
	const char *previous = "";
	size_t previous_size = 0, skip = strlen(group);

	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->hidden || !text_starts_with(commands[i]->name, group))
			continue;
		const char *word = commands[i]->name + skip;
		size_t size = strcspn(word, " ");

		if (size == previous_size && strncmp(word, previous, size) == 0)
			continue;
		buf_printf(out, "%s%.*s", out->size ? " " : "", (int)size, word);
		previous = word;
		previous_size = size;
	}
}

static void append_flags(struct buf *out, const struct command *command)
{
	struct option_row rows[ROWS_MAX];
	size_t count = rows_of(command, rows);

	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s--%s", i ? " " : "", rows[i].name);
}

static void print_bash(FILE *out)
{
	scoped(buf_free) struct buf names = {0};

	append_names(&names, "");
	fprintf(out,
		"_dogshore() {\n"
		"\tlocal word=${COMP_WORDS[COMP_CWORD]} one=${COMP_WORDS[1]} "
		"two=${COMP_WORDS[2]} list=\n"
		"\tif [ \"$COMP_CWORD\" = 1 ]; then list='%s'; else\n"
		"\tcase \"$one $two\" in\n",
		buf_text(&names));
	/* Longer names first, so that "image build" is met before "image". */
	for (int two_words = 1; two_words >= 0; two_words--)
		for (size_t i = 0; commands[i]; i++) {
			bool is_two = strchr(commands[i]->name, ' ') != NULL;

			if (commands[i]->hidden || is_two != (two_words == 1))
				continue;
			scoped(buf_free) struct buf flags = {0};

			append_flags(&flags, commands[i]);
			fprintf(out, "\t'%s'%s) list='%s' ;;\n", commands[i]->name,
				is_two ? "" : "' '*", buf_text(&flags));
		}
	const char *done = "";

	for (size_t i = 0; commands[i]; i++) {
		const char *space = strchr(commands[i]->name, ' ');

		if (!space || commands[i]->hidden)
			continue;
		size_t size = (size_t)(space - commands[i]->name) + 1;

		if (strncmp(done, commands[i]->name, size) == 0)
			continue;
		done = commands[i]->name;
		scoped(text_free) char *group = memory_copy(done, size);
		scoped(buf_free) struct buf below = {0};

		append_names(&below, group);
		fprintf(out, "\t'%s'*) list='%s' ;;\n", group, buf_text(&below));
	}
	fprintf(out, "\tesac; fi\n"
		     "\tcase \"$word\" in -*) ;; *) [ \"$COMP_CWORD\" = 1 ] || case \"$list\" in "
		     "--*) list= ;; esac ;; esac\n"
		     "\tCOMPREPLY=($(compgen -W \"$list\" -- \"$word\"))\n"
		     "}\n"
		     "complete -o default -F _dogshore dogshore\n");
}

static void print_fish_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_fish_command(FILE *out, const struct command *command)
{
	struct option_row rows[ROWS_MAX];
	size_t count = rows_of(command, rows);
	const char *space = strchr(command->name, ' ');
	size_t first = space ? (size_t)(space - command->name) : strlen(command->name);

	if (space)
		fprintf(out,
			"complete -c dogshore -n '__fish_seen_subcommand_from %.*s' -f -a '%s' -d "
			"'",
			(int)first, command->name, space + 1);
	else
		fprintf(out, "complete -c dogshore -n __fish_use_subcommand -f -a '%s' -d '",
			command->name);
	print_fish_text(out, command->options->about);
	fprintf(out, "'\n");
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "complete -c dogshore -n '__fish_seen_subcommand_from %.*s",
			(int)first, command->name);
		if (space)
			fprintf(out, "; and __fish_seen_subcommand_from %s", space + 1);
		fprintf(out, "' -l %s%s -d '", rows[i].name,
			rows[i].kind == OPTION_SWITCH ? "" : " -r");
		print_fish_text(out, rows[i].help);
		fprintf(out, "'\n");
	}
}

static void print_fish(FILE *out)
{
	scoped(buf_free) struct buf names = {0};

	append_names(&names, "");
	fprintf(out, "complete -c dogshore -n __fish_use_subcommand -f -a '%s'\n",
		buf_text(&names));
	for (size_t i = 0; commands[i]; i++)
		if (!commands[i]->hidden)
			print_fish_command(out, commands[i]);
}

static bool run(struct command_context *context, struct error *err)
{
	const char *shell = context->words.items[0];

	if (strcmp(shell, "bash") == 0) {
		print_bash(stdout);
	} else if (strcmp(shell, "zsh") == 0) {
		/* zsh runs bash's functions through its own compatibility module. */
		printf("autoload -U +X bashcompinit && bashcompinit\n");
		print_bash(stdout);
	} else if (strcmp(shell, "fish") == 0) {
		print_fish(stdout);
	} else {
		error_raise(err, ERROR_USAGE, "no completion for the shell \"%s\"", shell);
		return error_next(err, "bash, zsh and fish are known");
	}
	return true;
}

static const struct option_set options = {
	.usage = "completion bash|zsh|fish",
	.about = "print the completion script of a shell",
	.word_min = 1,
	.word_max = 1,
};

const struct command completion_command = {
	.name = "completion",
	.options = &options,
	.run = run,
	.hidden = true,
};
