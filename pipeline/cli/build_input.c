#include "pipeline/cli/build_input.h"

#include "base/file.h"
#include "buildspec/environment.h"

enum { SECRETS_LIMIT = 4 * 1024 * 1024 };

bool build_input_read(const struct build_flags *flags, struct build_input *input, struct error *err)
{
	scoped(buf_free) struct buf secrets = {0};

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
	struct error ignored = {0};

	(void)self;
	if (!descriptor_write_all(2, piece.data, piece.size, "the log", &ignored))
		error_ignore(&ignored, "nobody reads it");
}
