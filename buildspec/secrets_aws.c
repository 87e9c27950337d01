#include "buildspec/secrets_aws.h"

#include "base/memory.h"
#include "buildspec/secrets.h"

enum { NAMES_MAX = 10 }; /* of one GetParameters */

static bool is_given(const struct strings *given, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; given && i < given->count; i++)
		if (text_starts_with(given->items[i], name) && given->items[i][size] == '=')
			return true;
	return false;
}

/* Asked for by name, by name and ":version" or ":label", or by ARN. */
static bool is_called(const struct json *parameter, const char *asked)
{
	const char *selector = json_get_text(parameter, "Selector", "");
	scoped(text_free) char *name =
		memory_format("%s%s", json_get_text(parameter, "Name", ""), selector);
	scoped(text_free) char *arn =
		memory_format("%s%s", json_get_text(parameter, "ARN", ""), selector);

	return text_equal(asked, name) || text_equal(asked, arn);
}

static bool get_parameters(struct aws *aws, const struct strings *names, struct json *out_values,
	struct error *err)
{
	scoped(json_free) struct json *input = json_object_new(), *output = NULL;
	struct json *list = json_array_new();

	for (size_t i = 0; i < names->count; i++)
		json_append(list, json_text_new(names->items[i]));
	json_set(input, "Names", list);
	json_set_bool(input, "WithDecryption", true);
	if (!aws_call(aws, "ssm", "GetParameters", input, &output, NULL, err))
		return false;
	const struct json *parameters = json_get(output, "Parameters");

	for (size_t i = 0; i < names->count; i++)
		for (size_t p = 0; p < json_count(parameters); p++)
			if (is_called(json_at(parameters, p), names->items[i]))
				json_set_text(out_values, names->items[i],
					json_get_text(json_at(parameters, p), "Value", NULL));
	return true;
}

static bool fetch_parameters(struct aws *aws, const struct variables *wanted,
	const struct strings *given, struct json *out_values, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	for (size_t i = 0; i < wanted->count; i++) {
		const struct variable_spec *variable = &wanted->items[i];

		if (is_given(given, variable->name) || strings_contain(&names, variable->value))
			continue;
		strings_add(&names, variable->value);
		if (names.count < NAMES_MAX)
			continue;
		if (!get_parameters(aws, &names, out_values, err))
			return false;
		strings_free(&names);
	}
	return !names.count || get_parameters(aws, &names, out_values, err);
}

static struct json *secret_input(const struct secret_reference *reference)
{
	struct json *input = json_object_new();

	json_set(input, "SecretId", json_str_new(reference->id));
	if (reference->stage.size)
		json_set(input, "VersionStage", json_str_new(reference->stage));
	if (reference->version.size)
		json_set(input, "VersionId", json_str_new(reference->version));
	return input;
}

/* Sets versions[version] to the secret's text; a secret that does not exist sets nothing. */
static bool get_secret(struct aws *aws, const struct secret_reference *reference,
	struct json *versions, const char *version, struct error *err)
{
	scoped(json_free) struct json *input = secret_input(reference), *output = NULL;
	struct aws_failure failure = {0};
	struct error why = {0};

	if (!aws_call(aws, "secretsmanager", "GetSecretValue", input, &output, &failure, &why)) {
		if (failure.known && text_equal(failure.code, "ResourceNotFoundException")) {
			error_ignore(&why, "who needs it says which variable lacks it");
			return true;
		}
		error_move(err, &why);
		return error_while(err, "reading the secret \"%.*s\"", str_args(reference->id));
	}
	const char *text = json_get_text(output, "SecretString", NULL);

	if (!text)
		return error_raise(err, ERROR_INVALID,
			"the secret \"%.*s\" is binary, a variable holds text",
			str_args(reference->id));
	json_set_text(versions, version, text);
	return true;
}

static bool fetch_secrets(struct aws *aws, const struct variables *wanted,
	const struct strings *given, struct json *out_values, struct error *err)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const struct secret_reference reference =
			secret_reference_of(wanted->items[i].value);
		scoped(text_free) char *id = str_copy(reference.id);
		scoped(text_free) char *version = str_copy(secret_reference_version(&reference));

		/* Both at once is an error of the file, told when it is looked up. */
		if (is_given(given, wanted->items[i].name) ||
			(reference.stage.size && reference.version.size))
			continue;
		if (!json_get(out_values, id))
			json_set(out_values, id, json_object_new());
		struct json *versions = json_get(out_values, id);

		if (!json_get(versions, version) &&
			!get_secret(aws, &reference, versions, version, err))
			return false;
	}
	return true;
}

bool secrets_fetch(struct aws *aws, const struct buildspec *spec, const struct strings *given,
	struct json **out_secrets, struct error *err)
{
	scoped(json_free) struct json *secrets = json_object_new();
	struct json *parameters = json_object_new(), *values = json_object_new();

	json_set(secrets, "parameter-store", parameters);
	json_set(secrets, "secrets-manager", values);
	if (!fetch_parameters(aws, &spec->parameters, given, parameters, err) ||
		!fetch_secrets(aws, &spec->secrets, given, values, err))
		return false;
	*out_secrets = json_keep(secrets);
	return true;
}
