#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

#include "base/digest.h"
#include "base/memory.h"

static const struct elbv2_attribute attributes[] = {
	{"access_logs.s3.enabled", "false", true},
	{"deletion_protection.enabled", "false", false},
	{"idle_timeout.timeout_seconds", "60", true},
	{"routing.http.drop_invalid_header_fields.enabled", "false", true},
	{"routing.http2.enabled", "false", true},
	{NULL},
};

struct name_search {
	const char *name, *arn;
};

static bool match_name(void *context, const char *arn, const struct json *value)
{
	struct name_search *search = context;

	if (text_equal(json_get_text(value, "LoadBalancerName", ""), search->name))
		search->arn = arn;
	return !search->arn;
}

/* Containers reach the listeners at the bridge's own address: it is the balancer's private one. */
static struct json *addresses_of(const struct cloud *cloud)
{
	struct json *addresses = json_array_new();

	if (cloud->gateway)
		json_append(addresses,
			json_object_of("PrivateIPv4Address", json_text_new(cloud->gateway), NULL));
	return addresses;
}

static struct json *zones_of(const struct cloud *cloud, const struct json *input)
{
	const struct json *subnets = json_get(input, "Subnets");
	struct json *zones = json_array_new();

	for (size_t i = 0; i < json_count(subnets); i++)
		json_append(zones, json_object_of("ZoneName", json_text_new("local"), "SubnetId",
					   json_copy(json_at(subnets, i)), "LoadBalancerAddresses",
					   addresses_of(cloud), NULL));
	return zones;
}

static struct json *load_balancer_document(struct cloud *cloud, const struct json *input,
	const char *name)
{
	char id[ELBV2_ID_SIZE], created[TIME_TEXT_SIZE];
	const struct json *groups = json_get(input, "SecurityGroups");

	random_hex(id, sizeof(id) - 1);
	time_to_rfc3339(clock_now(cloud->clock), created);
	scoped(text_free) char *arn =
		cloud_arn(cloud, "elasticloadbalancing", "loadbalancer/app/%s/%s", name, id);

	return json_object_of("LoadBalancerArn", json_text_new(arn), "DNSName",
		json_text_new(cloud->host), "CanonicalHostedZoneId", json_text_new("ZLOCAL"),
		"CreatedTime", json_text_new(created), "LoadBalancerName", json_text_new(name),
		"Scheme", json_text_new(json_get_text(input, "Scheme", "internet-facing")), "VpcId",
		json_text_new("vpc-local"), "State",
		json_object_of("Code", json_text_new("active"), NULL), "Type",
		json_text_new("application"), "AvailabilityZones", zones_of(cloud, input),
		"SecurityGroups", json_is_array(groups) ? json_copy(groups) : json_array_new(),
		"IpAddressType", json_text_new("ipv4"), NULL);
}

ELBV2_OPERATION(elbv2_create_load_balancer)
{
	const char *name = input_text(input, "Name", ELBV2_INVALID, refusal);
	struct name_search search = {name, NULL};
	struct error err = {0};

	if (!name)
		return false;
	if (!elbv2_name_valid(name))
		return refuse(refusal, 400, ELBV2_INVALID,
			"Load balancer name '%s' must be 1 to 32 letters, digits and hyphens",
			name);
	if (!text_equal(json_get_text(input, "Type", "application"), "application"))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"The local cloud has load balancers of type application");
	store_each(cloud->store, "elbv2.load_balancer", match_name, &search);
	if (search.arn)
		return refuse(refusal, 400, "DuplicateLoadBalancerName",
			"A load balancer with the same name '%s' exists", name);
	scoped(json_free) struct json *document = load_balancer_document(cloud, input, name);
	const char *arn = json_get_text(document, "LoadBalancerArn", "");

	scoped(store_rollback) struct store *open = cloud->store;
	struct json *list = json_array_new();

	json_append(list, store_public(document));
	*out_output = json_object_of("LoadBalancers", list, NULL);
	return (store_begin(open, &err) &&
		       store_put(open, "elbv2.load_balancer", arn, json_keep(document), &err) &&
		       elbv2_put_tags(cloud, arn, json_get(input, "Tags"), &err) &&
		       store_commit(open, &err)) ||
	       refuse_error(refusal, &err);
}

static bool wanted(void *context, const char *arn, const struct json *value)
{
	const struct json *input = context;

	return elbv2_listed(json_get(input, "LoadBalancerArns"), arn) &&
	       elbv2_listed(json_get(input, "Names"), json_get_text(value, "LoadBalancerName", ""));
}

ELBV2_OPERATION(elbv2_describe_load_balancers)
{
	scoped(json_free) struct json *filter = json_copy(input);
	struct json *all = elbv2_collect(cloud, "load_balancer", wanted, filter);
	size_t asked = json_count(json_get(input, "LoadBalancerArns")) +
		       json_count(json_get(input, "Names"));

	if (json_count(all) < asked) {
		json_free(&all);
		return refuse(refusal, 400, "LoadBalancerNotFound",
			"One or more load balancers not found");
	}
	return elbv2_page(input, "LoadBalancers", all, out_output, refusal);
}

static bool collect_listeners(void *context, const char *arn, const struct json *value)
{
	struct strings *list = ((void **)context)[0];
	const char *balancer_arn = ((void **)context)[1];

	if (text_equal(json_get_text(value, "LoadBalancerArn", ""), balancer_arn))
		strings_add(list, arn);
	return true;
}

/* Unknown is fine, as on AWS. */
ELBV2_OPERATION(elbv2_delete_load_balancer)
{
	const char *given = input_text(input, "LoadBalancerArn", ELBV2_INVALID, refusal);
	scoped(text_free) char *arn = memory_copy_text(given);
	scoped(strings_free) struct strings listeners = {0};
	scoped(store_rollback) struct store *open = cloud->store;
	const struct json *document = store_get(open, "elbv2.load_balancer", arn);
	struct error err = {0};
	bool ok;

	(void)out_output;
	if (!arn)
		return false;
	if (text_equal(json_get_text(json_get(document, "_attributes"),
			       "deletion_protection.enabled", "false"),
		    "true"))
		return refuse(refusal, 400, "OperationNotPermitted",
			"Load balancer '%s' cannot be deleted because deletion protection is "
			"enabled",
			arn);
	store_each(open, "elbv2.listener", collect_listeners, (void *[]){&listeners, arn});
	ok = store_begin(open, &err);
	for (size_t i = 0; ok && i < listeners.count; i++)
		ok = elbv2_remove_listener(cloud, listeners.items[i], &err);
	ok = ok && store_remove(open, "elbv2.load_balancer", arn, &err) &&
	     elbv2_drop_tags(cloud, arn, &err);
	return ok ? elbv2_commit(cloud, refusal) : refuse_error(refusal, &err);
}

ELBV2_OPERATION(elbv2_describe_load_balancer_attributes)
{
	const struct json *document = elbv2_find(cloud, input, "LoadBalancerArn", "load_balancer",
		"LoadBalancerNotFound", refusal);

	if (!document)
		return false;
	*out_output = json_object_of("Attributes",
		elbv2_shown_attributes(attributes, json_get(document, "_attributes")), NULL);
	return true;
}

ELBV2_OPERATION(elbv2_modify_load_balancer_attributes)
{
	const struct json *document = elbv2_find(cloud, input, "LoadBalancerArn", "load_balancer",
		"LoadBalancerNotFound", refusal);
	struct json *merged = document ? elbv2_merged_attributes(attributes,
						 json_get(document, "_attributes"), input, refusal)
				       : NULL;
	struct error err = {0};

	if (!merged)
		return false;
	struct json *changed = json_copy(document);

	*out_output =
		json_object_of("Attributes", elbv2_shown_attributes(attributes, merged), NULL);
	json_set(changed, "_attributes", merged);
	return store_put(cloud->store, "elbv2.load_balancer",
		       json_get_text(changed, "LoadBalancerArn", ""), changed, &err) ||
	       refuse_error(refusal, &err);
}
