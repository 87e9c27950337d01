/*
 * Actions of rules and listeners: checked, and brought into the form in which answers have them.
 * What could not be written into a configuration of HAProxy is refused here.
 */
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

enum { GROUPS_MAX = 5, WEIGHT_MAX = 999, BODY_MAX = 1024, URL_PART_MAX = 128 };

static const char bad_action[] = "InvalidLoadBalancerAction";

static struct json *refused(struct json **unfinished)
{
	json_free(unfinished);
	return NULL;
}

/* One {TargetGroupArn, Weight} of a forward action. */
static struct json *tuple(struct cloud *cloud, const char *arn, const struct json *given,
	struct refusal *refusal)
{
	int64_t weight;

	if (!store_get(cloud->store, "elbv2.target_group", arn)) {
		refuse(refusal, 400, "TargetGroupNotFound", "Target groups '%s' not found", arn);
		return NULL;
	}
	if (!input_int(given, "Weight", 0, WEIGHT_MAX, 1, ELBV2_INVALID, &weight, refusal))
		return NULL;
	return json_object_of("TargetGroupArn", json_text_new(arn), "Weight", json_int_new(weight),
		NULL);
}

static struct json *forward(struct cloud *cloud, const struct json *action, struct refusal *refusal)
{
	const struct json *config = json_get(action, "ForwardConfig"),
			  *given = json_get(config, "TargetGroups");
	const char *single = json_get_text(action, "TargetGroupArn", NULL);
	struct json *groups = json_array_new(), *result;
	bool sticky = input_bool(json_get(config, "TargetGroupStickinessConfig"), "Enabled", false);

	if (json_count(given) > GROUPS_MAX || (!json_count(given) && !single) || sticky) {
		refuse(refusal, 400, bad_action,
			"A forward action has 1 to %d target groups and no stickiness", GROUPS_MAX);
		return refused(&groups);
	}
	for (size_t i = 0; i < (json_count(given) ? json_count(given) : 1); i++) {
		const struct json *item = json_at(given, i);
		struct json *one = tuple(cloud,
			item ? json_get_text(item, "TargetGroupArn", "") : single, item, refusal);

		if (!one)
			return refused(&groups);
		json_append(groups, one);
	}
	result = json_object_of("Type", json_text_new("forward"), NULL);
	if (json_count(groups) == 1)
		json_set_text(result, "TargetGroupArn",
			json_get_text(json_at(groups, 0), "TargetGroupArn", ""));
	json_set(result, "ForwardConfig",
		json_object_of("TargetGroups", groups, "TargetGroupStickinessConfig",
			json_object_of("Enabled", json_bool_new(false), NULL), NULL));
	return result;
}

/* Lines of printable ASCII. */
static bool is_printable(const char *text, size_t limit)
{
	bool ok = strlen(text) <= limit;

	for (; ok && *text; text++)
		ok = (*text >= ' ' && *text != 0x7f) || *text == '\n';
	return ok;
}

static struct json *fixed_response(const struct json *action, struct refusal *refusal)
{
	static const char *const types[] = {"text/plain", "text/css", "text/html",
		"application/javascript", "application/json"};
	const struct json *config = json_get(action, "FixedResponseConfig");
	const char *code = json_get_text(config, "StatusCode", ""),
		   *type = json_get_text(config, "ContentType", NULL),
		   *body = json_get_text(config, "MessageBody", NULL);
	bool known = !type;
	int64_t status;

	for (size_t i = 0; i < countof(types); i++)
		known = known || text_equal(type, types[i]);
	if (!str_to_int(str_of(code), &status) || status < 200 || status > 599 ||
		(status >= 300 && status < 400) || !known ||
		(body && !is_printable(body, BODY_MAX))) {
		refuse(refusal, 400, bad_action,
			"A fixed-response action has a status code 2XX, 4XX or 5XX, a known "
			"content "
			"type and a message of printable ASCII, at most %d bytes",
			BODY_MAX);
		return NULL;
	}
	return json_object_of("Type", json_text_new("fixed-response"), "FixedResponseConfig",
		json_object_of("MessageBody", body ? json_text_new(body) : NULL, "StatusCode",
			json_text_new(code), "ContentType", type ? json_text_new(type) : NULL,
			NULL),
		NULL);
}

/* Characters that a URL may have, and '#{…}'. */
static bool url_part_valid(const char *text)
{
	bool ok = strlen(text) <= URL_PART_MAX;

	for (; ok && *text; text++)
		ok = *text > ' ' && *text < 0x7f && !strchr("\"'\\<>^`|", *text);
	return ok;
}

static struct json *redirect(const struct json *action, struct refusal *refusal)
{
	static const char *const parts[][2] = {{"Protocol", "#{protocol}"}, {"Port", "#{port}"},
		{"Host", "#{host}"}, {"Path", "/#{path}"}, {"Query", "#{query}"}};
	const struct json *config = json_get(action, "RedirectConfig");
	const char *code = json_get_text(config, "StatusCode", "");
	struct json *made = json_object_new();

	for (size_t i = 0; i < countof(parts); i++) {
		const char *value = json_get_text(config, parts[i][0], parts[i][1]);

		if (!url_part_valid(value)) {
			refuse(refusal, 400, bad_action, "The redirect's %s is invalid",
				parts[i][0]);
			return refused(&made);
		}
		json_set_text(made, parts[i][0], value);
	}
	if (!text_equal(code, "HTTP_301") && !text_equal(code, "HTTP_302")) {
		refuse(refusal, 400, bad_action,
			"A redirect's status code is HTTP_301 or HTTP_302");
		return refused(&made);
	}
	json_set_text(made, "StatusCode", code);
	return json_object_of("Type", json_text_new("redirect"), "RedirectConfig", made, NULL);
}

struct json *elbv2_actions(struct cloud *cloud, const struct json *actions, struct refusal *refusal)
{
	const struct json *action = json_at(actions, 0);
	const char *type = json_get_text(action, "Type", "");
	struct json *made = NULL, *list;

	if (!json_is_array(actions) || json_count(actions) != 1) {
		refuse(refusal, 400, bad_action,
			"The local cloud's rules have exactly one action: forward, fixed-response "
			"or redirect");
		return NULL;
	}
	if (text_equal(type, "forward"))
		made = forward(cloud, action, refusal);
	else if (text_equal(type, "fixed-response"))
		made = fixed_response(action, refusal);
	else if (text_equal(type, "redirect"))
		made = redirect(action, refusal);
	else
		refuse(refusal, 400, bad_action, "The local cloud has no actions of type '%s'",
			type);
	if (!made)
		return NULL;
	json_set_int(made, "Order", 1);
	list = json_array_new();
	json_append(list, made);
	return list;
}
