#include "pipeline/cli/build_input.h"

#include "base/file.h"
#include "base/terminal.h"
#include "buildspec/environment.h"

#include <unistd.h>

enum { SECRETS_LIMIT = 4 * 1024 * 1024 };

static bool check_flags(const struct build_flags *flags, struct error *err)
{
	const struct {
		const char *name;
		int64_t value;
	} counts[] = {{"cpus", flags->limits.cpus}, {"processes", flags->limits.processes}};

	if (flags->network && flags->no_network)
		return error_raise(err, ERROR_USAGE,
			"--network and --no-network exclude each other");
	if (flags->no_sandbox && flags->no_network)
		return error_raise(err, ERROR_USAGE,
			"--no-network needs the sandbox, which --no-sandbox leaves out");
	for (size_t i = 0; i < countof(counts); i++)
		if (counts[i].value < 0 || counts[i].value > LIMITS_COUNT_MOST)
			return error_raise(err, ERROR_USAGE, "--%s must be from 1 to %d, not %lld",
				counts[i].name, LIMITS_COUNT_MOST, (long long)counts[i].value);
	return true;
}

bool build_input_network(const struct build_flags *flags, bool off)
{
	return flags->network || !(off || flags->no_network);
}

struct limits build_input_limits(const struct build_flags *flags, struct limits limits)
{
	const struct limits *given = &flags->limits;

	return (struct limits){.memory_bytes = given->memory_bytes ? given->memory_bytes
								   : limits.memory_bytes,
		.disk_bytes = given->disk_bytes ? given->disk_bytes : limits.disk_bytes,
		.processes = given->processes ? given->processes : limits.processes,
		.cpus = given->cpus ? given->cpus : limits.cpus};
}

bool build_input_read(const struct build_flags *flags, struct build_input *input, struct error *err)
{
	scoped(buf_free) struct buf secrets = {0};

	if (!check_flags(flags, err))
		return false;
	if (flags->env_file && !environment_read_file(flags->env_file, &input->env, err))
		return false;
	for (size_t i = 0; i < flags->env.count; i++) {
		if (!strchr(flags->env.items[i], '='))
			return error_raise(err, ERROR_USAGE, "--env \"%s\" is not NAME=VALUE",
				flags->env.items[i]);
		strings_add(&input->env, flags->env.items[i]);
	}
	if (!flags->secrets_file)
		return true;
	return file_read(flags->secrets_file, SECRETS_LIMIT, &secrets, err) &&
	       json_parse(buf_str(&secrets), flags->secrets_file, NULL, &input->secrets, err);
}

void build_input_free(struct build_input *input)
{
	strings_free(&input->env);
	json_free(&input->secrets);
}

void build_input_show_log(void *self, struct str piece)
{
	static struct terminal_filter filter;
	scoped(buf_free) struct buf safe = {0};
	struct error ignored = {0};

	(void)self;
	if (isatty(2)) {
		terminal_filter_feed(&filter, piece, &safe);
		piece = buf_str(&safe);
	}
	if (!descriptor_write_all(2, piece.data, piece.size, "the log", &ignored))
		error_ignore(&ignored, "nobody reads it");
}
