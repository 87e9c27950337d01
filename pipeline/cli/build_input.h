/*
 * build_input.h - the flags that `build` and `buildspec run` share, and what they stand for.
 */
#ifndef PIPELINE_CLI_BUILD_INPUT_H
#define PIPELINE_CLI_BUILD_INPUT_H

#include "base/json.h"
#include "base/limits.h"
#include "base/options.h"

struct build_flags {
	struct strings env;
	const char *env_file, *secrets_file;
	int64_t timeout_ms;
	bool no_sandbox, network, no_network;
	struct limits limits;
	int64_t log_bytes;
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
			"let the build use the network (default: as dogshore.yml says, else on)",  \
			NULL},                                                                     \
		{"no-network", OPTION_SWITCH, &(flags).no_network, NULL,                           \
			"give the build no network", NULL},                                        \
		{"memory", OPTION_SIZE, &(flags).limits.memory_bytes, "SIZE",                      \
			"what the build may use of it (default: not limited)", NULL},              \
		{"cpus", OPTION_INT, &(flags).limits.cpus, "N",                                    \
			"how many processors the build may use (default: all)", NULL},             \
		{"processes", OPTION_INT, &(flags).limits.processes, "N",                          \
			"how many processes and threads it may have (default: ended beyond 4096)", \
			NULL},                                                                     \
		{"disk", OPTION_SIZE, &(flags).limits.disk_bytes, "SIZE",                          \
			"how much disk the build may fill (default: 10GiB)", NULL},                \
		{"log-limit", OPTION_SIZE, &(flags).log_bytes, "SIZE",                             \
			"how much of its output is kept (default: 1GiB)", NULL},                   \
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

/* Is the build to have network? off: what the project says of it. */
bool build_input_network(const struct build_flags *flags, bool off);
/* What the flags do not say is as in limits. */
struct limits build_input_limits(const struct build_flags *flags, struct limits limits);

/* For executor_request.log and build_options.log: stderr, where progress goes; to a terminal only what
 * is harmless there. */
void build_input_show_log(void *self, struct str piece);

#endif
