#include "deployers/local/balancer.h"
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

#include "base/digest.h"
#include "base/memory.h"

enum { PRIORITY_MAX = 50000 };

struct priority_search {
	const char *listener_arn, *priority, *found;
};

static bool match_priority(void *context, const char *arn, const struct json *rule)
{
	struct priority_search *search = context;

	if (text_equal(json_get_text(rule, "_listener", ""), search->listener_arn) &&
		text_equal(json_get_text(rule, "Priority", ""), search->priority))
		search->found = arn;
	return !search->found;
}

static const char *rule_with(struct cloud *cloud, const char *listener_arn, const char *priority)
{
	struct priority_search search = {listener_arn, priority, NULL};

	store_each(cloud->store, "elbv2.rule", match_priority, &search);
	return search.found;
}

static struct json *answer_with(const struct json *rule)
{
	struct json *list = json_array_new();

	json_append(list, store_public(rule));
	return json_object_of("Rules", list, NULL);
}

static bool put_rule(struct cloud *cloud, const struct json *rule, struct json **out_output,
	struct refusal *refusal)
{
	scoped(store_rollback) struct store *open = cloud->store;
	const char *arn = json_get_text(rule, "RuleArn", "");
	struct error err = {0};

	if (!store_begin(open, &err) ||
		!store_put(open, "elbv2.rule", arn, json_keep(rule), &err) ||
		!elbv2_put_tags(cloud, arn, json_get(rule, "_tags"), &err))
		return refuse_error(refusal, &err);
	*out_output = answer_with(rule);
	return elbv2_commit(cloud, refusal);
}

static char *rule_arn_for(struct cloud *cloud, const char *listener_arn)
{
	char id[ELBV2_ID_SIZE];

	random_hex(id, sizeof(id) - 1);
	return cloud_arn(cloud, "elasticloadbalancing", "listener-rule/%s/%s",
		strstr(listener_arn, "listener/") + strlen("listener/"), id);
}

ELBV2_OPERATION(elbv2_create_rule)
{
	const struct json *listener =
		elbv2_find(cloud, input, "ListenerArn", "listener", "ListenerNotFound", refusal);
	const char *listener_arn = json_get_text(listener, "ListenerArn", "");
	scoped(json_free) struct json *conditions = NULL, *actions = NULL, *rule = NULL;
	scoped(text_free) char *arn = NULL, *priority_text = NULL;
	int64_t priority;

	if (!listener || !input_int(input, "Priority", 1, PRIORITY_MAX, 0, ELBV2_INVALID, &priority,
				 refusal))
		return false;
	if (!priority)
		return refuse(refusal, 400, ELBV2_INVALID, "Priority must not be null");
	priority_text = memory_format("%lld", (long long)priority);
	if (rule_with(cloud, listener_arn, priority_text))
		return refuse(refusal, 400, "PriorityInUse", "Priority '%s' is currently in use",
			priority_text);
	if (!(conditions = elbv2_conditions(json_get(input, "Conditions"), refusal)) ||
		!(actions = elbv2_actions(cloud, json_get(input, "Actions"), refusal)))
		return false;
	arn = rule_arn_for(cloud, listener_arn);
	rule = json_object_of("RuleArn", json_text_new(arn), "Priority",
		json_text_new(priority_text), "Conditions", json_keep(conditions), "Actions",
		json_keep(actions), "IsDefault", json_bool_new(false), "_listener",
		json_text_new(listener_arn), "_tags", json_copy(json_get(input, "Tags")), NULL);
	return put_rule(cloud, rule, out_output, refusal);
}

struct filter {
	const struct json *arns;
	const char *listener_arn;
};

static bool wanted(void *context, const char *arn, const struct json *rule)
{
	const struct filter *filter = context;

	return elbv2_listed(filter->arns, arn) &&
	       (!filter->listener_arn ||
		       text_equal(json_get_text(rule, "_listener", ""), filter->listener_arn));
}

static int64_t rank(const struct json *rule)
{
	int64_t priority;

	return str_to_int(json_str(json_get(rule, "Priority")), &priority) ? priority : INT64_MAX;
}

/* By priority, the default rule last. */
static struct json *ordered(struct json *rules)
{
	struct json *sorted = json_array_new();

	while (json_count(rules)) {
		size_t first = 0;

		for (size_t i = 1; i < json_count(rules); i++)
			if (rank(json_at(rules, i)) < rank(json_at(rules, first)))
				first = i;
		json_append(sorted, json_keep(json_at(rules, first)));
		json_remove_at(rules, first);
	}
	json_free(&rules);
	return sorted;
}

ELBV2_OPERATION(elbv2_describe_rules)
{
	struct filter filter = {json_get(input, "RuleArns"),
		json_get_text(input, "ListenerArn", NULL)};
	struct json *rules;

	if (!filter.listener_arn && !json_is_array(filter.arns))
		return refuse(refusal, 400, ELBV2_INVALID,
			"Either listener ARN or rule ARNs must be specified");
	if (filter.listener_arn &&
		!elbv2_find(cloud, input, "ListenerArn", "listener", "ListenerNotFound", refusal))
		return false;
	rules = elbv2_collect(cloud, "rule", wanted, &filter);
	if (json_count(rules) < json_count(filter.arns)) {
		json_free(&rules);
		return refuse(refusal, 400, "RuleNotFound", "One or more rules not found");
	}
	return elbv2_page(input, "Rules", ordered(rules), out_output, refusal);
}

/* A rule that may be changed: not a listener's default. */
static const struct json *rule_of(struct cloud *cloud, const char *arn, const char *verb,
	struct refusal *refusal)
{
	const struct json *rule = store_get(cloud->store, "elbv2.rule", arn);

	if (!rule)
		refuse(refusal, 400, "RuleNotFound", "Rule '%s' not found", arn);
	else if (json_get_bool(rule, "IsDefault", false))
		refuse(refusal, 400, "OperationNotPermitted", "Default rule '%s' cannot be %s", arn,
			verb);
	else
		return rule;
	return NULL;
}

ELBV2_OPERATION(elbv2_modify_rule)
{
	const char *arn = input_text(input, "RuleArn", ELBV2_INVALID, refusal);
	const struct json *old = arn ? rule_of(cloud, arn, "modified", refusal) : NULL;
	const struct json *conditions = json_get(input, "Conditions"),
			  *actions = json_get(input, "Actions");
	scoped(json_free) struct json *rule = json_copy(old), *checked_conditions = NULL,
				      *checked_actions = NULL;

	if (!old || (conditions && !(checked_conditions = elbv2_conditions(conditions, refusal))) ||
		(actions && !(checked_actions = elbv2_actions(cloud, actions, refusal))))
		return false;
	if (checked_conditions)
		json_set(rule, "Conditions", json_keep(checked_conditions));
	if (checked_actions)
		json_set(rule, "Actions", json_keep(checked_actions));
	return put_rule(cloud, rule, out_output, refusal);
}

ELBV2_OPERATION(elbv2_delete_rule)
{
	const char *given = input_text(input, "RuleArn", ELBV2_INVALID, refusal);
	scoped(text_free) char *arn = memory_copy_text(given);
	scoped(store_rollback) struct store *open = cloud->store;
	struct error err = {0};

	(void)out_output;
	if (!arn || !rule_of(cloud, arn, "deleted", refusal))
		return false;
	if (!store_begin(open, &err) || !store_remove(open, "elbv2.rule", arn, &err) ||
		!elbv2_drop_tags(cloud, arn, &err))
		return refuse_error(refusal, &err);
	return elbv2_commit(cloud, refusal);
}

/* Gives all of them their new priorities, then looks whether two are the same. */
static bool set_priorities(struct cloud *cloud, const struct json *pairs, struct json *rules,
	struct refusal *refusal)
{
	struct error err = {0};

	for (size_t i = 0; i < json_count(pairs); i++) {
		const char *arn = json_get_text(json_at(pairs, i), "RuleArn", "");
		const struct json *old = rule_of(cloud, arn, "moved", refusal);
		struct json *rule;
		int64_t priority;

		if (!old || !input_int(json_at(pairs, i), "Priority", 1, PRIORITY_MAX, 1,
				    ELBV2_INVALID, &priority, refusal))
			return false;
		rule = json_copy(old);
		json_set(rule, "Priority", json_text_format("%lld", (long long)priority));
		json_append(rules, json_keep(rule));
		if (!store_put(cloud->store, "elbv2.rule", arn, rule, &err))
			return refuse_error(refusal, &err);
	}
	for (size_t i = 0; i < json_count(rules); i++) {
		const struct json *rule = json_at(rules, i);
		const char *priority = json_get_text(rule, "Priority", "");
		const char *first =
			rule_with(cloud, json_get_text(rule, "_listener", ""), priority);

		for (size_t j = 0; j < i; j++)
			if (text_equal(json_get_text(json_at(rules, j), "Priority", ""),
				    priority) &&
				text_equal(json_get_text(json_at(rules, j), "_listener", ""),
					json_get_text(rule, "_listener", "")))
				first = "";
		if (!text_equal(first, json_get_text(rule, "RuleArn", "")))
			return refuse(refusal, 400, "PriorityInUse",
				"Priority '%s' is currently in use", priority);
	}
	return true;
}

ELBV2_OPERATION(elbv2_set_rule_priorities)
{
	const struct json *pairs = json_get(input, "RulePriorities");
	scoped(store_rollback) struct store *open = cloud->store;
	scoped(json_free) struct json *rules = json_array_new();
	struct json *shown;
	struct error err = {0};

	if (!json_is_array(pairs))
		return refuse(refusal, 400, ELBV2_INVALID, "RulePriorities must not be null");
	if (!store_begin(open, &err))
		return refuse_error(refusal, &err);
	if (!set_priorities(cloud, pairs, rules, refusal) || !elbv2_commit(cloud, refusal))
		return false;
	shown = json_array_new();
	for (size_t i = 0; i < json_count(rules); i++)
		json_append(shown, store_public(json_at(rules, i)));
	*out_output = json_object_of("Rules", shown, NULL);
	return true;
}
