#include "buildspec/environment.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "buildspec/secrets.h"
#include "buildspec/secrets_aws.h"

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

void environment_free(struct environment *environment)
{
	strings_free(&environment->variables);
	strings_free(&environment->origins);
	strings_free(&environment->skipped);
	secret_names_free(&environment->asked);
}

static void printf_like(4, 5) set(struct environment *environment, const char *name,
	const char *value, const char *origin, ...)
{
	char **there = find(&environment->variables, name);
	va_list args;

	va_start(args, origin);
	char *from = memory_format_list(origin, args);

	va_end(args);
	if (!there) {
		strings_printf(&environment->variables, "%s=%s", name, value);
		strings_add_owned(&environment->origins, from);
		return;
	}
	size_t index = (size_t)(there - environment->variables.items);

	free(*there);
	*there = memory_format("%s=%s", name, value);
	free(environment->origins.items[index]);
	environment->origins.items[index] = from;
}

static const char *ours(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && value[0] ? value : fallback;
}

static void set_base(const struct build_options *options, const char *tools,
	struct environment *out)
{
	static const char path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	scoped(text_free) char *whole = memory_format("%s%s%s",
		options->sandbox ? path : ours("PATH", path), tools ? ":" : "", tools ? tools : "");

	set(out, "PATH", whole, "default");
	set(out, "HOME", options->sandbox ? "/root" : ours("HOME", "/"), "default");
	set(out, "USER", ours("USER", "root"), "default");
	set(out, "LANG", "C.UTF-8", "default");
}

static void set_builtin(const struct build_options *options, const char *source_inside,
	struct environment *out)
{
	const char *region = ours("AWS_REGION", ours("AWS_DEFAULT_REGION", "us-east-1"));
	char uuid[UUID_TEXT_SIZE];

	uuid_new(uuid);
	scoped(text_free) char *id = memory_format("local:%s", uuid);
	scoped(text_free) char *arn =
		memory_format("arn:aws:codebuild:%s:000000000000:build/%s", region, id);
	scoped(text_free) char *start = memory_format("%lld", (long long)clock_now(&system_clock));

	set(out, "AWS_REGION", region, "built-in");
	set(out, "AWS_DEFAULT_REGION", region, "built-in");
	set(out, "CODEBUILD_BUILD_ARN", arn, "built-in");
	set(out, "CODEBUILD_BUILD_ID", id, "built-in");
	set(out, "CODEBUILD_BUILD_IMAGE", "local", "built-in");
	set(out, "CODEBUILD_BUILD_NUMBER", "1", "built-in");
	set(out, "CODEBUILD_BUILD_SUCCEEDING", "1", "built-in");
	set(out, "CODEBUILD_INITIATOR", ours("USER", "root"), "built-in");
	set(out, "CODEBUILD_LOCAL_BUILD", "true", "built-in");
	set(out, "CODEBUILD_SRC_DIR", source_inside, "built-in");
	set(out, "CODEBUILD_START_TIME", start, "built-in");
	for (size_t i = 0; options->secondary && i < options->secondary->count; i++) {
		const struct secondary_source *source = &options->secondary->items[i];
		scoped(text_free) char *name = memory_format("CODEBUILD_SRC_DIR_%s", source->id);

		set(out, name, source->inside, "built-in");
	}
	if (options->commit) {
		set(out, "CODEBUILD_RESOLVED_SOURCE_VERSION", options->commit, "built-in");
		set(out, "CODEBUILD_SOURCE_VERSION", options->commit, "built-in");
	}
}

typedef bool look_up(const struct json *secrets, const char *reference, char **out_value,
	struct error *err);

/* What is looked up where, and what becomes of it. */
struct lookup {
	const struct build_options *options;
	const struct json *secrets;
	struct masker *masker; /* NULL: nothing is looked up */
	struct environment *out;
};

/* One that the caller gives a value for need not be there. */
static bool set_secrets(const struct lookup *lookup, const struct variables *wanted,
	const char *origin, look_up *find_value, struct error *err)
{
	for (size_t i = 0; i < wanted->count; i++) {
		scoped(text_free) char *value = NULL;
		const struct variable_spec *variable = &wanted->items[i];

		if (lookup->options->env && find(lookup->options->env, variable->name))
			continue;
		if (!lookup->masker) {
			value = memory_copy_text("***");
		} else if (!find_value(lookup->secrets, variable->value, &value, err)) {
			error_while(err, "looking up the value of %s", variable->name);
			return error_next(err, "%s",
				lookup->options->secrets
					? "add it to the file given with --secrets-file"
					: "create it, look at its name, region and account, or "
					  "give it with --secrets-file");
		}
		if (lookup->masker)
			masker_add(lookup->masker, value);
		set(lookup->out, variable->name, value, "%s %s", origin, variable->value);
	}
	return true;
}

/* Adds what is wanted by variables that nobody gives a value for. */
static void add_wanted(const struct build_options *options, const struct variables *wanted,
	struct strings *out)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (!options->env || !find(options->env, wanted->items[i].name))
			strings_add(out, wanted->items[i].value);
}

static bool fetch(const struct build_options *options, const struct buildspec *spec,
	struct secret_names *out_asked, struct json **out_secrets, struct error *err)
{
	struct strings *parameters = &out_asked->parameters, *secrets = &out_asked->secrets;
	scoped(aws_free) struct aws *aws = NULL;

	if (options->secrets)
		return true;
	add_wanted(options, &spec->parameters, parameters);
	add_wanted(options, &spec->secrets, secrets);
	size_t count = parameters->count + secrets->count;
	if (!count)
		return true;
	if (aws_new(&(struct aws_options){0}, &aws, err) &&
		secrets_fetch(aws, spec, options->env, out_secrets, err))
		return true;
	scoped(text_free) char *more = count > 1 ? memory_format(" and %zu more", count - 1) : NULL;

	return error_while(err, "asking AWS for \"%s\"%s, for want of a --secrets-file",
		parameters->count ? parameters->items[0] : secrets->items[0], more ? more : "");
}

static bool look_up_all(const struct lookup *lookup, const struct buildspec *spec,
	struct error *err)
{
	return set_secrets(lookup, &spec->parameters, "parameter-store", secrets_parameter, err) &&
	       set_secrets(lookup, &spec->secrets, "secrets-manager", secrets_secret, err);
}

/* Moves the names of what a shell cannot hold to skipped. */
static void drop_odd_names(struct environment *environment)
{
	struct environment kept = {.skipped = environment->skipped, .asked = environment->asked};

	environment->skipped = (struct strings){0};
	environment->asked = (struct secret_names){0};
	for (size_t i = 0; i < environment->variables.count; i++) {
		struct str rest = str_of(environment->variables.items[i]);
		scoped(text_free) char *name = str_copy(str_cut(&rest, '='));

		if (environment_is_name(name)) {
			strings_add(&kept.variables, environment->variables.items[i]);
			strings_add(&kept.origins, environment->origins.items[i]);
		} else {
			strings_add(&kept.skipped, name);
		}
	}
	environment_free(environment);
	*environment = kept;
}

bool environment_build(const struct build_options *options, const struct buildspec *spec,
	const struct environment_places *places, struct masker *masker,
	struct environment *out_environment, struct error *err)
{
	scoped(environment_free) struct environment environment = {0};
	scoped(json_free) struct json *fetched = NULL;

	if (masker && !fetch(options, spec, &environment.asked, &fetched, err))
		return false;
	const struct lookup lookup = {options, fetched ? fetched : options->secrets, masker,
		&environment};

	set_base(options, places->tools, &environment);
	for (size_t i = 0; i < spec->variables.count; i++)
		set(&environment, spec->variables.items[i].name, spec->variables.items[i].value,
			"env.variables");
	if (!look_up_all(&lookup, spec, err))
		return false;
	set_builtin(options, places->source, &environment);
	for (size_t i = 0; options->env && i < options->env->count; i++) {
		struct str rest = str_of(options->env->items[i]);
		scoped(text_free) char *name = str_copy(str_cut(&rest, '='));

		set(&environment, name, rest.data ? rest.data : "", "given");
	}
	drop_odd_names(&environment);
	*out_environment = environment;
	environment = (struct environment){0};
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
