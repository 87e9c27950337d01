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

enum which {
	ALL,
	ENCRYPTED,
};

static bool is_wanted(const struct json *parameter, enum which which)
{
	return which == ALL || text_equal(json_get_text(parameter, "Type", ""), "SecureString");
}

static bool get_parameters(struct aws *aws, const struct strings *names, enum which which,
	struct json *out_values, struct error *err)
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
			if (is_called(json_at(parameters, p), names->items[i]) &&
				is_wanted(json_at(parameters, p), which))
				json_set_text(out_values, names->items[i],
					json_get_text(json_at(parameters, p), "Value", NULL));
	return true;
}

static bool fetch_parameters(struct aws *aws, const struct variables *wanted,
	const struct strings *given, enum which which, struct json *out_values, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	for (size_t i = 0; i < wanted->count; i++) {
		const struct variable_spec *variable = &wanted->items[i];

		if (is_given(given, variable->name) || strings_contain(&names, variable->value))
			continue;
		strings_add(&names, variable->value);
		if (names.count < NAMES_MAX)
			continue;
		if (!get_parameters(aws, &names, which, out_values, err))
			return false;
		strings_free(&names);
	}
	return !names.count || get_parameters(aws, &names, which, out_values, err);
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

static bool fetch(struct aws *aws, const struct variables *parameters,
	const struct variables *secrets, const struct strings *given, enum which which,
	struct json **out_secrets, struct error *err)
{
	scoped(json_free) struct json *all = json_object_new();
	struct json *values = json_object_new(), *versions = json_object_new();

	json_set(all, "parameter-store", values);
	json_set(all, "secrets-manager", versions);
	if (!fetch_parameters(aws, parameters, given, which, values, err) ||
		!fetch_secrets(aws, secrets, given, versions, err))
		return false;
	*out_secrets = json_keep(all);
	return true;
}

bool secrets_fetch(struct aws *aws, const struct buildspec *spec, const struct strings *given,
	struct json **out_secrets, struct error *err)
{
	return fetch(aws, &spec->parameters, &spec->secrets, given, ALL, out_secrets, err);
}

void secret_names_free(struct secret_names *names)
{
	strings_free(&names->parameters);
	strings_free(&names->secrets);
}

void secret_names_write(const struct secret_names *names, struct json_writer *w)
{
	if (!names->parameters.count && !names->secrets.count)
		return;
	json_key(w, "asked_of_aws");
	json_object_begin(w);
	json_put_strings(w, "parameter-store", &names->parameters);
	json_put_strings(w, "secrets-manager", &names->secrets);
	json_object_end(w);
}

static void read_list(const struct json *list, struct strings *out)
{
	for (size_t i = 0; json_is_array(list) && i < json_count(list); i++) {
		const char *name = json_text(json_at(list, i), "");

		if (*name && !strings_contain(out, name))
			strings_add(out, name);
	}
}

void secret_names_read(const struct json *result, struct secret_names *names)
{
	const struct json *asked = json_get(result, "asked_of_aws");

	read_list(json_get(asked, "parameter-store"), &names->parameters);
	read_list(json_get(asked, "secrets-manager"), &names->secrets);
}

static struct variables variables_of(const struct strings *names, struct arena *arena)
{
	struct variables list = {0};

	list.items = arena_new(arena, names->count * sizeof(list.items[0]));
	for (; list.count < names->count; list.count++)
		list.items[list.count] = (struct variable_spec){"", names->items[list.count]};
	return list;
}

bool secrets_fetch_again(struct aws *aws, const struct secret_names *names,
	struct json **out_secrets, struct error *err)
{
	scoped(arena_free) struct arena arena = {0};
	const struct variables parameters = variables_of(&names->parameters, &arena);
	const struct variables secrets = variables_of(&names->secrets, &arena);

	return fetch(aws, &parameters, &secrets, NULL, ENCRYPTED, out_secrets, err);
}
