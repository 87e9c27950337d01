#include "deployers/local/balancer.h"
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

#include "base/memory.h"

enum { PAGE_MAX = 400, NAME_MAX_SIZE = 32 };

bool elbv2_name_valid(const char *name)
{
	size_t size = strlen(name);
	bool ok = size > 0 && size <= NAME_MAX_SIZE && name[0] != '-' && name[size - 1] != '-';

	for (; ok && *name; name++)
		ok = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		     (*name >= '0' && *name <= '9') || *name == '-';
	return ok;
}

const struct json *elbv2_find(struct cloud *cloud, const struct json *input, const char *name,
	const char *kind, const char *not_found, struct refusal *refusal)
{
	const char *arn = input_text(input, name, ELBV2_INVALID, refusal);
	scoped(text_free) char *whole = memory_format("elbv2.%s", kind);
	const struct json *found = arn ? store_get(cloud->store, whole, arn) : NULL;

	if (arn && !found)
		refuse(refusal, 400, not_found, "%s '%s' not found", name, arn);
	return found;
}

bool elbv2_commit(struct cloud *cloud, struct refusal *refusal)
{
	scoped(store_rollback) struct store *open = cloud->store;
	struct error err = {0};

	if (!balancer_apply(cloud->balancer, &err)) {
		bool ours = err.kind != ERROR_FAILED && err.kind != ERROR_CONFLICT;

		store_rollback(&open);
		return ours ? refuse_error(refusal, &err)
			    : (refuse(refusal, 400, "InvalidConfigurationRequest", "%s",
				       err.message),
				      error_free(&err), false);
	}
	return store_commit(open, &err) || refuse_error(refusal, &err);
}

bool elbv2_listed(const struct json *list, const char *text)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (text_equal(json_text(json_at(list, i), ""), text))
			return true;
	return !json_is_array(list);
}

bool elbv2_page(const struct json *input, const char *name, struct json *all,
	struct json **out_output, struct refusal *refusal)
{
	scoped(json_free) struct json *owned = all;
	int64_t limit;
	size_t from;

	if (!input_page(input, "Marker", ELBV2_INVALID, &from, refusal) ||
		!input_int(input, "PageSize", 1, PAGE_MAX, PAGE_MAX, ELBV2_INVALID, &limit,
			refusal))
		return false;
	*out_output = json_object_new();
	output_page(*out_output, name, json_keep(owned), from, (size_t)limit, "NextMarker");
	return true;
}

struct collection {
	bool (*filter)(void *context, const char *arn, const struct json *value);
	void *context;
	struct json *all;
};

static bool add_filtered(void *context, const char *arn, const struct json *value)
{
	struct collection *collection = context;

	if (collection->filter(collection->context, arn, value))
		json_append(collection->all, store_public(value));
	return true;
}

struct json *elbv2_collect(struct cloud *cloud, const char *kind,
	bool (*filter)(void *context, const char *arn, const struct json *value), void *context)
{
	struct collection collection = {filter, context, json_array_new()};
	scoped(text_free) char *whole = memory_format("elbv2.%s", kind);

	store_each(cloud->store, whole, add_filtered, &collection);
	return collection.all;
}

struct json *elbv2_shown_attributes(const struct elbv2_attribute *known, const struct json *set)
{
	struct json *list = json_array_new();

	for (; known->key; known++)
		json_append(list,
			json_object_of("Key", json_text_new(known->key), "Value",
				json_text_new(json_get_text(set, known->key, known->fallback)),
				NULL));
	return list;
}

struct json *elbv2_merged_attributes(const struct elbv2_attribute *known, const struct json *set,
	const struct json *input, struct refusal *refusal)
{
	const struct json *list = json_get(input, "Attributes");
	struct json *merged = set ? json_copy(set) : json_object_new();

	for (size_t i = 0; i < json_count(list); i++) {
		const char *key = json_get_text(json_at(list, i), "Key", ""),
			   *value = json_get_text(json_at(list, i), "Value", "");
		const struct elbv2_attribute *row = known;

		while (row->key && !text_equal(row->key, key))
			row++;
		if (!row->key) {
			refuse(refusal, 400, ELBV2_INVALID, "Attribute '%s' is not known here",
				key);
		} else if (row->fixed && !text_equal(value, row->fallback)) {
			refuse(refusal, 400, "InvalidConfigurationRequest",
				"Attribute '%s' is always '%s' in the local cloud", key,
				row->fallback);
		} else {
			json_set_text(merged, key, value);
			continue;
		}
		json_free(&merged);
		return NULL;
	}
	return merged;
}

static const struct operation rows[] = {
	{"AddTags", elbv2_add_tags},
	{"CreateListener", elbv2_create_listener},
	{"CreateLoadBalancer", elbv2_create_load_balancer},
	{"CreateRule", elbv2_create_rule},
	{"CreateTargetGroup", elbv2_create_target_group},
	{"DeleteListener", elbv2_delete_listener},
	{"DeleteLoadBalancer", elbv2_delete_load_balancer},
	{"DeleteRule", elbv2_delete_rule},
	{"DeleteTargetGroup", elbv2_delete_target_group},
	{"DeregisterTargets", elbv2_deregister_targets},
	{"DescribeListeners", elbv2_describe_listeners},
	{"DescribeLoadBalancerAttributes", elbv2_describe_load_balancer_attributes},
	{"DescribeLoadBalancers", elbv2_describe_load_balancers},
	{"DescribeRules", elbv2_describe_rules},
	{"DescribeTags", elbv2_describe_tags},
	{"DescribeTargetGroupAttributes", elbv2_describe_target_group_attributes},
	{"DescribeTargetGroups", elbv2_describe_target_groups},
	{"DescribeTargetHealth", elbv2_describe_target_health},
	{"ModifyListener", elbv2_modify_listener},
	{"ModifyLoadBalancerAttributes", elbv2_modify_load_balancer_attributes},
	{"ModifyRule", elbv2_modify_rule},
	{"ModifyTargetGroup", elbv2_modify_target_group},
	{"ModifyTargetGroupAttributes", elbv2_modify_target_group_attributes},
	{"RegisterTargets", elbv2_register_targets},
	{"RemoveTags", elbv2_remove_tags},
	{"SetRulePriorities", elbv2_set_rule_priorities},
	{NULL},
};

const struct operation_table elbv2_operations = {
	.service = "elasticloadbalancing",
	.query_version = "2015-12-01",
	.query_namespace = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
	.rows = rows,
};
