#include "buildspec/environment.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "buildspec/secrets.h"

#include <stdlib.h>

bool environment_is_name(const char *name)
{
	if (!name[0] || (name[0] >= '0' && name[0] <= '9'))
		return false;
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
			    (*name >= '0' && *name <= '9') || *name == '_'))
			return false;
	return true;
}

static char **find(const struct strings *variables, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < variables->count; i++)
		if (text_starts_with(variables->items[i], name) && variables->items[i][size] == '=')
			return &variables->items[i];
	return NULL;
}

static void set(struct strings *variables, const char *name, const char *value)
{
	char **there = find(variables, name);

	if (!there) {
		strings_printf(variables, "%s=%s", name, value);
		return;
	}
	free(*there);
	*there = memory_format("%s=%s", name, value);
}

static const char *ours(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && value[0] ? value : fallback;
}

static void set_base(const struct build_options *options, struct strings *out)
{
	static const char path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	if (options->sandbox) {
		set(out, "PATH", path);
		set(out, "HOME", "/root");
	} else {
		set(out, "PATH", ours("PATH", path));
		set(out, "HOME", ours("HOME", "/"));
	}
	set(out, "USER", ours("USER", "root"));
	set(out, "LANG", "C.UTF-8");
}

static void set_builtin(const struct build_options *options, const char *source_inside,
	struct strings *out)
{
	const char *region = ours("AWS_REGION", ours("AWS_DEFAULT_REGION", "us-east-1"));
	char uuid[UUID_TEXT_SIZE];

	uuid_new(uuid);
	scoped(text_free) char *id = memory_format("local:%s", uuid);
	scoped(text_free) char *arn =
		memory_format("arn:aws:codebuild:%s:000000000000:build/%s", region, id);
	scoped(text_free) char *start = memory_format("%lld", (long long)clock_now(&system_clock));

	set(out, "AWS_REGION", region);
	set(out, "AWS_DEFAULT_REGION", region);
	set(out, "CODEBUILD_BUILD_ARN", arn);
	set(out, "CODEBUILD_BUILD_ID", id);
	set(out, "CODEBUILD_BUILD_IMAGE", "local");
	set(out, "CODEBUILD_BUILD_NUMBER", "1");
	set(out, "CODEBUILD_BUILD_SUCCEEDING", "1");
	set(out, "CODEBUILD_INITIATOR", ours("USER", "root"));
	set(out, "CODEBUILD_LOCAL_BUILD", "true");
	set(out, "CODEBUILD_SRC_DIR", source_inside);
	set(out, "CODEBUILD_START_TIME", start);
	if (options->commit) {
		set(out, "CODEBUILD_RESOLVED_SOURCE_VERSION", options->commit);
		set(out, "CODEBUILD_SOURCE_VERSION", options->commit);
	}
}

typedef bool look_up(const struct json *secrets, const char *reference, char **out_value,
	struct error *err);

/* One that the caller gives a value for need not be there. */
static bool set_secrets(const struct build_options *options, const struct variables *wanted,
	look_up *find_value, struct masker *masker, struct strings *out, struct error *err)
{
	for (size_t i = 0; i < wanted->count; i++) {
		scoped(text_free) char *value = NULL;
		const struct variable_spec *variable = &wanted->items[i];

		if (options->env && find(options->env, variable->name))
			continue;
		if (!find_value(options->secrets, variable->value, &value, err)) {
			error_while(err, "looking up the value of %s", variable->name);
			return error_next(err, "add it to the file given with --secrets-file");
		}
		masker_add(masker, value);
		set(out, variable->name, value);
	}
	return true;
}

/* Moves what a shell cannot hold to skipped. */
static void drop_odd_names(struct strings *variables, struct strings *skipped)
{
	struct strings kept = {0};

	for (size_t i = 0; i < variables->count; i++) {
		struct str rest = str_of(variables->items[i]);
		char *name = str_copy(str_cut(&rest, '='));

		if (environment_is_name(name)) {
			strings_add(&kept, variables->items[i]);
			free(name);
		} else {
			strings_add_owned(skipped, name);
		}
	}
	strings_free(variables);
	*variables = kept;
}

bool environment_build(const struct build_options *options, const struct buildspec *spec,
	const char *source_inside, struct masker *masker, struct strings *out_variables,
	struct strings *out_skipped, struct error *err)
{
	set_base(options, out_variables);
	for (size_t i = 0; i < spec->variables.count; i++)
		set(out_variables, spec->variables.items[i].name, spec->variables.items[i].value);
	if (!set_secrets(options, &spec->parameters, secrets_parameter, masker, out_variables,
		    err) ||
		!set_secrets(options, &spec->secrets, secrets_secret, masker, out_variables, err))
		return false;
	set_builtin(options, source_inside, out_variables);
	for (size_t i = 0; options->env && i < options->env->count; i++) {
		struct str rest = str_of(options->env->items[i]);
		scoped(text_free) char *name = str_copy(str_cut(&rest, '='));

		set(out_variables, name, rest.data ? rest.data : "");
	}
	drop_odd_names(out_variables, out_skipped);
	return true;
}

enum { FILE_LIMIT = 1024 * 1024 };

bool environment_read_file(const char *path, struct strings *out_variables, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	if (!file_read(path, FILE_LIMIT, &text, err))
		return false;
	struct str rest = buf_str(&text);

	for (int number = 1; rest.data; number++) {
		struct str line = str_cut(&rest, '\n');

		if (str_ends_with(line, "\r"))
			line.size--;
		if (!str_trim(line).size || line.data[0] == '#')
			continue;
		if (!memchr(line.data, '=', line.size))
			return error_raise(err, ERROR_INVALID, "%s:%d: expected NAME=VALUE", path,
				number);
		strings_add_owned(out_variables, str_copy(line));
	}
	return true;
}
