#include "pipeline/cli/run_secrets.h"

#include "base/json.h"
#include "base/memory.h"
#include "buildspec/secrets.h"
#include "buildspec/secrets_aws.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	FILE_LIMIT = 4 * 1024 * 1024,
	RESULT_LIMIT = 64 * 1024 * 1024,
	DEPTH_LIMIT = 8,
};

static const char *const names[] = {
	"AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN",
	"DOGSHORE_GIT_PASSWORD",
	"GITHUB_TOKEN",
	"GH_TOKEN",
	"CI_JOB_TOKEN",
	"CI_REGISTRY_PASSWORD",
	"NPM_TOKEN",
};

static bool sounds_secret(const char *key)
{
	static const char *const words[] = {"password", "passwd", "secret", "token", "key"};

	for (size_t i = 0; i < countof(words); i++)
		if (strcasestr(key, words[i]))
			return true;
	return false;
}

static void collect_text(const char *text, struct strings *out, int depth);

/* all: every text; else those whose name says that they are secret. */
static void collect(const struct json *value, bool all, struct strings *out, int depth)
{
	if (depth > DEPTH_LIMIT)
		return;
	if (json_is_text(value) && all)
		collect_text(json_text(value, ""), out, depth);
	if (json_is_array(value))
		for (size_t i = 0; i < json_count(value); i++)
			collect(json_at(value, i), all, out, depth + 1);
	if (json_is_object(value))
		for (json_each(member, value))
			collect(member.value, all || sounds_secret(member.key), out, depth + 1);
}

static void collect_text(const char *text, struct strings *out, int depth)
{
	scoped(json_free) struct json *inner = NULL;
	struct error err = {0};

	if (*text && !strings_contain(out, text))
		strings_add(out, text);
	if (*text != '{')
		return;
	if (json_parse(str_of(text), "a secret", NULL, &inner, &err))
		collect(inner, false, out, depth + 1);
	else
		error_ignore(&err, "it is a text that begins with '{'");
}

/* What a variable held: one member of a secret, whatever it is called. */
static void collect_members(const struct json *values, const struct strings *references,
	struct strings *out)
{
	for (size_t i = 0; i < references->count; i++) {
		scoped(text_free) char *value = NULL;
		struct error err = {0};

		if (!secrets_secret(values, references->items[i], &value, &err))
			error_ignore(&err,
				"it is gone: then the build has failed, or did not see it");
		else if (!strings_contain(out, value))
			collect_text(value, out, 0);
	}
}

static bool ask_aws(const char *path, struct strings *out_secrets, struct error *err)
{
	scoped(json_free) struct json *result = NULL, *values = NULL;
	scoped(secret_names_free) struct secret_names asked = {0};
	scoped(aws_free) struct aws *aws = NULL;

	if (!json_read_file(path, RESULT_LIMIT, &result, err))
		return false;
	secret_names_read(result, &asked);
	if (!asked.parameters.count && !asked.secrets.count)
		return true;
	if (!aws_new(&(struct aws_options){0}, &aws, err) ||
		!secrets_fetch_again(aws, &asked, &values, err))
		return error_while(err, "asking AWS for what the build was told");
	collect_members(values, &asked.secrets, out_secrets);
	collect(values, true, out_secrets, 0);
	return true;
}

static bool read_file(const char *path, struct strings *out_secrets, struct error *err)
{
	scoped(json_free) struct json *document = NULL;

	if (!json_read_file(path, FILE_LIMIT, &document, err))
		return false;
	if (!json_is_object(document))
		return error_raise(err, ERROR_INVALID, "\"%s\" is no JSON object", path);
	collect(document, true, out_secrets, 0);
	return true;
}

bool run_secrets_collect(const char *file, const char *result, struct strings *out_secrets,
	struct error *err)
{
	for (size_t i = 0; i < countof(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			strings_add(out_secrets, value);
	}
	return ((!file || read_file(file, out_secrets, err)) &&
		       (!result || ask_aws(result, out_secrets, err))) ||
	       error_while(err, "reading the secrets that must not be in the image");
}
