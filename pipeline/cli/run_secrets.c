#include "pipeline/cli/run_secrets.h"

#include "base/json.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	FILE_LIMIT = 4 * 1024 * 1024,
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

bool run_secrets_collect(const char *file, struct strings *out_secrets, struct error *err)
{
	scoped(json_free) struct json *document = NULL;

	for (size_t i = 0; i < countof(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			strings_add(out_secrets, value);
	}
	if (!file)
		return true;
	if (!json_read_file(file, FILE_LIMIT, &document, err))
		return error_while(err, "reading the secrets that must not be in the image");
	if (!json_is_object(document))
		return error_raise(err, ERROR_INVALID, "\"%s\" is no JSON object", file);
	collect(document, true, out_secrets, 0);
	return true;
}
