/*
 * elbv2_internal.h - what the files of ELBv2 share.
 *
 * Kinds in the store, by ARN: "elbv2.load_balancer", "elbv2.target_group" (attributes in _attributes),
 * "elbv2.listener" (without DefaultActions: those are its default rule's), "elbv2.rule" (_listener
 * says whose), "elbv2.target" (balancer.h). Tags lie in "elbv2.tags" by the ARN of what they are on.
 *
 * A change goes to the store and then to HAProxy; when HAProxy refuses it, it is undone.
 */
#ifndef DEPLOYERS_LOCAL_ELBV2_INTERNAL_H
#define DEPLOYERS_LOCAL_ELBV2_INTERNAL_H

#include "deployers/local/operation.h"
#include "deployers/local/store.h"

#define ELBV2_OPERATION(name)                                                                      \
	bool name(struct cloud *cloud, const struct json *input, struct json **out_output,         \
		struct refusal *refusal)

ELBV2_OPERATION(elbv2_create_load_balancer);
ELBV2_OPERATION(elbv2_describe_load_balancers);
ELBV2_OPERATION(elbv2_delete_load_balancer);
ELBV2_OPERATION(elbv2_describe_load_balancer_attributes);
ELBV2_OPERATION(elbv2_modify_load_balancer_attributes);
ELBV2_OPERATION(elbv2_create_target_group);
ELBV2_OPERATION(elbv2_describe_target_groups);
ELBV2_OPERATION(elbv2_modify_target_group);
ELBV2_OPERATION(elbv2_delete_target_group);
ELBV2_OPERATION(elbv2_describe_target_group_attributes);
ELBV2_OPERATION(elbv2_modify_target_group_attributes);
ELBV2_OPERATION(elbv2_register_targets);
ELBV2_OPERATION(elbv2_deregister_targets);
ELBV2_OPERATION(elbv2_describe_target_health);
ELBV2_OPERATION(elbv2_create_listener);
ELBV2_OPERATION(elbv2_describe_listeners);
ELBV2_OPERATION(elbv2_modify_listener);
ELBV2_OPERATION(elbv2_delete_listener);
ELBV2_OPERATION(elbv2_create_rule);
ELBV2_OPERATION(elbv2_describe_rules);
ELBV2_OPERATION(elbv2_modify_rule);
ELBV2_OPERATION(elbv2_delete_rule);
ELBV2_OPERATION(elbv2_set_rule_priorities);
ELBV2_OPERATION(elbv2_add_tags);
ELBV2_OPERATION(elbv2_remove_tags);
ELBV2_OPERATION(elbv2_describe_tags);

#define ELBV2_INVALID "ValidationError"

/* Names of load balancers and target groups: letters, digits and hyphens, none at the ends. */
bool elbv2_name_valid(const char *name);

/* The document that input's member name has the ARN of; refused with not_found when there is none.
 * kind without "elbv2.". */
const struct json *elbv2_find(struct cloud *cloud, const struct json *input, const char *name,
	const char *kind, const char *not_found, struct refusal *refusal);

/* Actions as they came, checked and in the form in which answers have them; NULL: refused. */
struct json *elbv2_actions(struct cloud *cloud, const struct json *actions, struct refusal *refusal)
	must_use;
/* The same for the conditions of a rule. */
struct json *elbv2_conditions(const struct json *conditions, struct refusal *refusal) must_use;

/* Keeps the open transaction when HAProxy takes what the store now says, else undoes it. */
bool elbv2_commit(struct cloud *cloud, struct refusal *refusal) must_use;

/* {LoadBalancerArn: [arn], …} style filters: whether list is absent or has text. */
bool elbv2_listed(const struct json *list, const char *text);
/* Answers a page of all (taken) under name, with Marker and NextMarker. */
bool elbv2_page(const struct json *input, const char *name, struct json *all,
	struct json **out_output, struct refusal *refusal);
/* Every document of a kind that filter lets pass, without members of our own. */
struct json *elbv2_collect(struct cloud *cloud, const char *kind,
	bool (*filter)(void *context, const char *arn, const struct json *value), void *context)
	must_use;

/* 16 hex digits, as ELBv2 ends its ARNs with. */
enum { ELBV2_ID_SIZE = 17 };

/* A listener as answers have it, with its default rule's actions. */
struct json *elbv2_shown_listener(struct cloud *cloud, const struct json *listener) must_use;
/* The ARN of a listener's load balancer's rules: removes them all. */
bool elbv2_remove_listener(struct cloud *cloud, const char *arn, struct error *err) must_use;

bool elbv2_put_tags(struct cloud *cloud, const char *arn, const struct json *tags,
	struct error *err) must_use;
bool elbv2_drop_tags(struct cloud *cloud, const char *arn, struct error *err) must_use;

/* Attributes: [{Key, Value}] of a table of known ones over those that were set. */
struct elbv2_attribute {
	const char *key, *fallback;
	bool fixed; /* the local cloud knows no other value */
};
struct json *elbv2_shown_attributes(const struct elbv2_attribute *known, const struct json *set)
	must_use;
/* Merges input's Attributes into a copy of set; NULL: refused. */
struct json *elbv2_merged_attributes(const struct elbv2_attribute *known, const struct json *set,
	const struct json *input, struct refusal *refusal) must_use;

#endif
