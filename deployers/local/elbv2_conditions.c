/*
 * Conditions of rules: checked, and brought into the form in which answers have them.
 */
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

enum { VALUES_MAX = 5, VALUE_SIZE_MAX = 128, HEADER_NAME_MAX = 40 };

struct field {
	const char *name, *config;
	bool legacy; /* answers repeat the values in Values */
};

static const struct field fields[] = {
	{"host-header", "HostHeaderConfig", true},
	{"path-pattern", "PathPatternConfig", true},
	{"http-header", "HttpHeaderConfig", false},
	{"http-request-method", "HttpRequestMethodConfig", false},
	{"query-string", "QueryStringConfig", false},
	{"source-ip", "SourceIpConfig", false},
};

static bool value_valid(const char *text)
{
	bool ok = *text && strlen(text) <= VALUE_SIZE_MAX;

	for (; ok && *text; text++)
		ok = *text >= ' ' && *text < 0x7f;
	return ok;
}

/* A name of a header or a parameter, as it stands between HAProxy's parentheses. */
static bool token_valid(const char *text)
{
	bool ok = *text && strlen(text) <= HEADER_NAME_MAX;

	for (; ok && *text; text++)
		ok = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		     (*text >= '0' && *text <= '9') || strchr("-_.", *text);
	return ok;
}

/* "10.0.0.0/8": digits, dots and a length; HAProxy checks the rest. */
static bool address_valid(const char *text)
{
	return strspn(text, "0123456789./") == strlen(text) && strchr(text, '/');
}

static bool check_value(const struct field *field, const struct json *value)
{
	const char *text = json_text(value, "");

	if (text_equal(field->name, "query-string")) {
		const char *key = json_get_text(value, "Key", NULL);

		return (!key || token_valid(key)) && value_valid(json_get_text(value, "Value", ""));
	}
	if (text_equal(field->name, "source-ip"))
		return address_valid(text);
	if (text_equal(field->name, "http-request-method"))
		return token_valid(text);
	if (text_equal(field->name, "path-pattern"))
		return value_valid(text) && !strchr(text, ' ');
	return value_valid(text);
}

static struct json *condition(const struct json *given, struct refusal *refusal)
{
	const char *name = json_get_text(given, "Field", "");
	const struct field *field = NULL;
	const struct json *config, *values;
	const char *header;

	for (size_t i = 0; i < countof(fields); i++)
		if (text_equal(fields[i].name, name))
			field = &fields[i];
	if (!field) {
		refuse(refusal, 400, ELBV2_INVALID, "Condition field '%s' is not known here", name);
		return NULL;
	}
	config = json_get(given, field->config);
	values = json_get(config, "Values");
	if (!json_count(values) && field->legacy)
		values = json_get(given, "Values");
	header = json_get_text(config, "HttpHeaderName", NULL);
	if (!json_is_array(values) || !json_count(values) || json_count(values) > VALUES_MAX ||
		(text_equal(name, "http-header") && (!header || !token_valid(header)))) {
		refuse(refusal, 400, ELBV2_INVALID, "Condition '%s' needs 1 to %d values", name,
			VALUES_MAX);
		return NULL;
	}
	for (size_t i = 0; i < json_count(values); i++)
		if (!check_value(field, json_at(values, i))) {
			refuse(refusal, 400, ELBV2_INVALID, "A value of condition '%s' is invalid",
				name);
			return NULL;
		}
	return json_object_of("Field", json_text_new(name), "Values",
		field->legacy ? json_copy(values) : NULL, field->config,
		json_object_of("HttpHeaderName", header ? json_text_new(header) : NULL, "Values",
			json_copy(values), NULL),
		NULL);
}

struct json *elbv2_conditions(const struct json *conditions, struct refusal *refusal)
{
	struct json *list = json_array_new();

	for (size_t i = 0; i < json_count(conditions); i++) {
		struct json *one = condition(json_at(conditions, i), refusal);

		if (!one) {
			json_free(&list);
			return NULL;
		}
		json_append(list, one);
	}
	if (json_count(list))
		return list;
	refuse(refusal, 400, ELBV2_INVALID, "A rule needs at least one condition");
	json_free(&list);
	return NULL;
}
