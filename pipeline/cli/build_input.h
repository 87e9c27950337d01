/*
 * build_input.h - the flags that `build` and `buildspec run` share, and what they stand for.
 */
#ifndef PIPELINE_CLI_BUILD_INPUT_H
#define PIPELINE_CLI_BUILD_INPUT_H

#include "base/json.h"
#include "base/options.h"

struct build_flags {
	struct strings env;
	const char *env_file, *secrets_file;
	int64_t timeout_ms;
	bool no_sandbox, network;
};

/* Rows of a command's table; flags is its static struct build_flags. */
#define BUILD_FLAG_ROWS(flags)                                                                     \
	{"env", OPTION_LIST, &(flags).env, "NAME=VALUE", "a variable; wins over the buildspec's",  \
		NULL},                                                                             \
		{"env-file", OPTION_TEXT, &(flags).env_file, "FILE",                               \
			"the same, one NAME=VALUE a line", NULL},                                  \
		{"secrets-file", OPTION_TEXT, &(flags).secrets_file, "FILE",                       \
			"JSON with the values of parameter-store and secrets-manager variables",   \
			NULL},                                                                     \
		{"timeout", OPTION_DURATION, &(flags).timeout_ms, "D",                             \
			"end the build after this time", NULL},                                    \
		{"network", OPTION_SWITCH, &(flags).network, NULL,                                 \
			"let the build use the network", NULL},                                    \
	{                                                                                          \
		"no-sandbox", OPTION_SWITCH, &(flags).no_sandbox, NULL,                            \
			"run the commands as ordinary children", NULL                              \
	}

struct build_input {
	struct strings env;   /* "NAME=value": the file's, then the flags' */
	struct json *secrets; /* NULL: none given */
};

/* Appends to input->env. Fails with ERROR_USAGE and what reading the files gives. */
bool build_input_read(const struct build_flags *flags, struct build_input *input, struct error *err)
	must_use;
void build_input_free(struct build_input *input);

/* For executor_request.log and build_options.log: stderr, where progress goes. */
void build_input_show_log(void *self, struct str piece);

#endif
