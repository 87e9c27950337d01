#include "deployers/local/input.h"

const char *input_text(const struct json *input, const char *name, const char *code,
	struct refusal *refusal)
{
	const char *text = json_get_text(input, name, NULL);

	if (text && *text)
		return text;
	refuse(refusal, 400, code,
		"1 validation error detected: Value at '%s' failed to satisfy constraint: Member "
		"must not be null",
		name);
	return NULL;
}

bool input_int(const struct json *input, const char *name, int64_t least, int64_t most,
	int64_t fallback, const char *code, int64_t *out_value, struct refusal *refusal)
{
	const struct json *value = json_get(input, name);
	int64_t number = fallback;
	bool ok = true;

	if (json_is_text(value))
		ok = str_to_int(json_str(value), &number);
	else if (json_kind(value) == JSON_INT)
		number = json_int(value, fallback);
	else
		ok = json_kind(value) == JSON_NULL;
	if (!ok || (json_kind(value) != JSON_NULL && (number < least || number > most)))
		return refuse(refusal, 400, code,
			"1 validation error detected: Value at '%s' failed to satisfy constraint: "
			"Member must be a number between %lld and %lld",
			name, (long long)least, (long long)most);
	*out_value = number;
	return true;
}

bool input_bool(const struct json *input, const char *name, bool fallback)
{
	const struct json *value = json_get(input, name);

	if (text_equal(json_text(value, ""), "true"))
		return true;
	if (text_equal(json_text(value, ""), "false"))
		return false;
	return json_bool(value, fallback);
}

bool input_page(const struct json *input, const char *token_name, const char *code,
	size_t *out_from, struct refusal *refusal)
{
	const struct json *token = json_get(input, token_name);
	int64_t from = 0;

	if (json_str(token).size && (!str_to_int(json_str(token), &from) || from < 0))
		return refuse(refusal, 400, code, "The %s is not one that was given out",
			token_name);
	*out_from = (size_t)from;
	return true;
}

void output_page(struct json *output, const char *name, struct json *all, size_t from, size_t limit,
	const char *token_name)
{
	struct json *page = json_array_new();
	size_t count = json_count(all);

	for (size_t i = from; i < count && i - from < limit; i++)
		json_append(page, json_keep(json_at(all, i)));
	json_set(output, name, page);
	if (from < count && count - from > limit)
		json_set(output, token_name, json_text_format("%zu", from + limit));
	json_free(&all);
}
