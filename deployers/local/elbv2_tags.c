#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

enum { TAGS_MAX = 50 };

static const struct json *tags_of(struct cloud *cloud, const char *arn)
{
	return json_get(store_get(cloud->store, "elbv2.tags", arn), "Tags");
}

static void set_tag(struct json *tags, const struct json *tag)
{
	for (size_t i = 0; i < json_count(tags); i++)
		if (text_equal(json_get_text(json_at(tags, i), "Key", ""),
			    json_get_text(tag, "Key", "")))
			json_remove_at(tags, i--);
	json_append(tags, json_copy(tag));
}

bool elbv2_put_tags(struct cloud *cloud, const char *arn, const struct json *tags,
	struct error *err)
{
	const struct json *old = tags_of(cloud, arn);
	struct json *merged = old ? json_copy(old) : json_array_new();

	for (size_t i = 0; i < json_count(tags); i++)
		set_tag(merged, json_at(tags, i));
	return store_put(cloud->store, "elbv2.tags", arn, json_object_of("Tags", merged, NULL),
		err);
}

bool elbv2_drop_tags(struct cloud *cloud, const char *arn, struct error *err)
{
	return store_remove(cloud->store, "elbv2.tags", arn, err);
}

/* ARNs of ELBv2 resources that exist: whatever has a row of tags. */
static bool check_arns(struct cloud *cloud, const struct json *input, struct refusal *refusal)
{
	const struct json *arns = json_get(input, "ResourceArns");

	if (!json_is_array(arns))
		return refuse(refusal, 400, ELBV2_INVALID, "ResourceArns must not be null");
	for (size_t i = 0; i < json_count(arns); i++) {
		const char *arn = json_text(json_at(arns, i), "");

		if (!store_get(cloud->store, "elbv2.tags", arn))
			return refuse(refusal, 400,
				strstr(arn, ":targetgroup/")     ? "TargetGroupNotFound"
				: strstr(arn, ":listener-rule/") ? "RuleNotFound"
				: strstr(arn, ":listener/")      ? "ListenerNotFound"
								 : "LoadBalancerNotFound",
				"'%s' not found", arn);
	}
	return true;
}

ELBV2_OPERATION(elbv2_add_tags)
{
	const struct json *arns = json_get(input, "ResourceArns"), *tags = json_get(input, "Tags");
	struct error err = {0};

	(void)out_output;
	if (!check_arns(cloud, input, refusal))
		return false;
	if (!json_is_array(tags) || json_count(tags) > TAGS_MAX)
		return refuse(refusal, 400, "TooManyTags", "Tags must have 1 to %d items",
			TAGS_MAX);
	for (size_t i = 0; i < json_count(arns); i++)
		if (!elbv2_put_tags(cloud, json_text(json_at(arns, i), ""), tags, &err))
			return refuse_error(refusal, &err);
	return true;
}

ELBV2_OPERATION(elbv2_remove_tags)
{
	const struct json *arns = json_get(input, "ResourceArns"),
			  *keys = json_get(input, "TagKeys");
	struct error err = {0};

	(void)out_output;
	if (!check_arns(cloud, input, refusal))
		return false;
	for (size_t i = 0; i < json_count(arns); i++) {
		const char *arn = json_text(json_at(arns, i), "");
		struct json *tags = json_copy(tags_of(cloud, arn));

		for (size_t t = json_count(tags); t > 0; t--)
			if (json_is_array(keys) &&
				elbv2_listed(keys, json_get_text(json_at(tags, t - 1), "Key", "")))
				json_remove_at(tags, t - 1);
		if (!store_put(cloud->store, "elbv2.tags", arn, json_object_of("Tags", tags, NULL),
			    &err))
			return refuse_error(refusal, &err);
	}
	return true;
}

ELBV2_OPERATION(elbv2_describe_tags)
{
	const struct json *arns = json_get(input, "ResourceArns");
	struct json *list;

	if (!check_arns(cloud, input, refusal))
		return false;
	list = json_array_new();
	for (size_t i = 0; i < json_count(arns); i++) {
		const char *arn = json_text(json_at(arns, i), "");

		json_append(list, json_object_of("ResourceArn", json_text_new(arn), "Tags",
					  json_copy(tags_of(cloud, arn)), NULL));
	}
	*out_output = json_object_of("TagDescriptions", list, NULL);
	return true;
}
