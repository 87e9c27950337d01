/*
 * haproxy_config.h - what the store says about ELBv2 as a configuration of HAProxy. Pure text.
 *
 *     listener -> frontend, its rules in order of priority -> txn.rule -> txn.group -> backend
 *
 * Weights are not in the configuration but in a map ("<rule>.<n>" -> share of the groups up to the
 * n-th, in millionths), so that they change without a reload: a draw of rand(1000000) below the n-th
 * number and not below the one before goes to group n.
 *
 * What comes from users (paths, headers, messages) is quoted or escaped here; elbv2_actions.c and
 * elbv2_conditions.c have refused what cannot be written.
 */
#ifndef DEPLOYERS_LOCAL_HAPROXY_CONFIG_H
#define DEPLOYERS_LOCAL_HAPROXY_CONFIG_H

#include "base/buf.h"
#include "base/json.h"

enum { HAPROXY_SHARES = 1000000 };

struct haproxy_server {
	const char *group_arn, *ip;
	int port;
};

/* Arrays of documents in the API's shape. */
struct haproxy_view {
	const struct json *listeners, *rules, *groups;
	const char *address, *gateway; /* where listeners open; gateway may be NULL */
	const char *user, *group;      /* whom HAProxy becomes then; user NULL: nobody else */
	const struct haproxy_server *servers; /* those in rotation from the start */
	size_t server_count;
	const char *description; /* what `show info` tells; NULL: none */
};
void haproxy_config_write(const struct haproxy_view *view, struct buf *out);

/* "name.0123456789abcdef" of a target group's ARN, "r0123456789abcdef" of a rule's. */
void haproxy_group_name(const char *group_arn, struct buf *out);
void haproxy_rule_name(const char *rule_arn, struct buf *out);
void haproxy_server_name(const char *ip, int port, struct buf *out); /* "10.96.0.2_8080" */

/* "ip:port check …": for a server line and for "add server". */
void haproxy_server_options(const struct json *group, const char *ip, int port, struct buf *out);

/* The rule's entries of the map: calls each with key and value. None for rules that do not forward
 * to several groups. */
void haproxy_rule_shares(const struct json *rule,
	void (*each)(void *context, const char *key, int64_t share), void *context);

/* The forward action's [{TargetGroupArn, Weight}], NULL when the rule does not forward. */
const struct json *rule_target_groups(const struct json *rule);

/* The words of "if …" for one condition: as ACLs written before and named after the rule. */
void haproxy_condition_write(const struct json *condition, const char *acl, struct buf *out);

/* Appends text in single quotes, so that HAProxy takes it literally. */
void haproxy_quote(struct str text, struct buf *out);

#endif
