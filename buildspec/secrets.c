#include "buildspec/secrets.h"

#include "base/memory.h"

#include <stdlib.h>

bool secrets_parameter(const struct json *secrets, const char *name, char **out_value,
	struct error *err)
{
	const struct json *value = json_get(json_get(secrets, "parameter-store"), name);
	const char *text = json_text(value, NULL);

	if (!text)
		return error_raise(err, ERROR_NOT_FOUND, "there is no parameter \"%s\"", name);
	*out_value = memory_copy_text(text);
	return true;
}

/* arn:partition:secretsmanager:region:account:secret:name are seven parts with colons of their own. */
struct secret_reference secret_reference_of(const char *text)
{
	struct str rest = str_of(text);
	struct secret_reference reference = {0};
	int parts = text_starts_with(text, "arn:") ? 7 : 1;

	for (int i = 0; i < parts; i++)
		str_cut(&rest, ':');
	size_t size = rest.data ? (size_t)(rest.data - 1 - text) : strlen(text);

	reference.id = (struct str){text, size};
	reference.key = str_cut(&rest, ':');
	reference.stage = str_cut(&rest, ':');
	reference.version = rest;
	return reference;
}

struct str secret_reference_version(const struct secret_reference *reference)
{
	if (reference->version.size)
		return reference->version;
	return reference->stage.size ? reference->stage : str_literal("AWSCURRENT");
}

/* The secret's text: at the stage or version named, else the current one. */
static const char *find_text(const struct json *secrets, const struct secret_reference *reference)
{
	scoped(text_free) char *id = str_copy(reference->id);
	scoped(text_free) char *which = str_copy(secret_reference_version(reference));
	const struct json *secret = json_get(json_get(secrets, "secrets-manager"), id);

	if (json_kind(secret) == JSON_OBJECT)
		return json_text(json_get(secret, which), NULL);
	return text_equal(which, "AWSCURRENT") ? json_text(secret, NULL) : NULL;
}

static bool take_key(const char *text, struct str key, const char *name, char **out_value,
	struct error *err)
{
	scoped(json_free) struct json *object = NULL;
	scoped(text_free) char *key_text = str_copy(key);
	scoped(buf_free) struct buf written = {0};

	/* The reason could quote the secret, so only that it is no JSON is told. */
	if (!json_parse(str_of(text), "secret", NULL, &object, NULL))
		return error_raise(err, ERROR_INVALID,
			"secret \"%s\" is no JSON, so it has no key \"%s\"", name, key_text);
	const struct json *value = json_get(object, key_text);

	if (!value)
		return error_raise(err, ERROR_NOT_FOUND, "secret \"%s\" has no key \"%s\"", name,
			key_text);
	if (json_kind(value) == JSON_TEXT) {
		*out_value = memory_copy_text(json_text(value, ""));
		return true;
	}
	json_write(value, &written);
	*out_value = buf_take(&written);
	return true;
}

bool secrets_secret(const struct json *secrets, const char *text, char **out_value,
	struct error *err)
{
	const struct secret_reference reference = secret_reference_of(text);

	if (reference.stage.size && reference.version.size)
		return error_raise(err, ERROR_INVALID,
			"\"%s\" names a version stage and a version id; only one is allowed", text);
	const char *found = find_text(secrets, &reference);

	if (!found)
		return error_raise(err, ERROR_NOT_FOUND, "there is no secret \"%s\"", text);
	if (reference.key.size)
		return take_key(found, reference.key, text, out_value, err);
	*out_value = memory_copy_text(found);
	return true;
}
