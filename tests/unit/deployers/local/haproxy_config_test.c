#include "tests/test.h"

#include "base/memory.h"
#include "deployers/local/haproxy_config.h"

#define LB "arn:aws:elasticloadbalancing:us-east-1:0:"
#define RULE_ARN LB "listener-rule/app/lb/1/2/00000000000000aa"
#define BLUE LB "targetgroup/blue/00000000000000b1"
#define GREEN LB "targetgroup/green/00000000000000b2"

static struct json *parse(const char *text)
{
	struct json *value = NULL;
	struct error err = {0};

	if (!json_parse(str_of(text), "test", NULL, &value, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	return value;
}

static void add(void *context, const char *key, int64_t share)
{
	buf_printf(context, "%s=%lld ", key, (long long)share);
}

static char *shares(const char *weights)
{
	scoped(text_free) char *text =
		memory_format("{\"RuleArn\":\"" RULE_ARN "\",\"Actions\":[{\"Type\":\"forward\","
			      "\"ForwardConfig\":{\"TargetGroups\":%s}}]}",
			weights);
	scoped(json_free) struct json *rule = parse(text);
	struct buf out = {0};

	haproxy_rule_shares(rule, add, &out);
	return buf_take(&out);
}

#define CHECK_SHARES(weights, expected)                                                            \
	do {                                                                                       \
		scoped(text_free) char *text_ = shares(weights);                                   \
		CHECK_TEXT(text_, expected);                                                       \
	} while (0)

TEST(weights_become_shares_up_to_each_group)
{
	CHECK_SHARES("[{\"TargetGroupArn\":\"a\",\"Weight\":1}]", "");
	CHECK_SHARES("[{\"TargetGroupArn\":\"a\",\"Weight\":90},{\"TargetGroupArn\":\"b\","
		     "\"Weight\":10}]",
		"r00000000000000aa.0=900000 r00000000000000aa.1=1000000 ");
	CHECK_SHARES("[{\"Weight\":0},{\"Weight\":5}]",
		"r00000000000000aa.0=0 r00000000000000aa.1=1000000 ");
	CHECK_SHARES("[{\"Weight\":1},{\"Weight\":1},{\"Weight\":1}]",
		"r00000000000000aa.0=333333 r00000000000000aa.1=666666 "
		"r00000000000000aa.2=1000000 ");
	/* nothing is forwarded anywhere: 503, as with an ALB */
	CHECK_SHARES("[{\"Weight\":0},{\"Weight\":0}]",
		"r00000000000000aa.0=0 r00000000000000aa.1=0 ");
}

static char *condition(const char *text)
{
	scoped(json_free) struct json *value = parse(text);
	struct buf out = {0};

	haproxy_condition_write(value, "a", &out);
	return buf_take(&out);
}

#define CHECK_CONDITION(json, expected)                                                            \
	do {                                                                                       \
		scoped(text_free) char *text_ = condition(json);                                   \
		CHECK_TEXT(text_, expected);                                                       \
	} while (0)

TEST(patterns_are_matched_as_cheaply_as_they_allow)
{
	CHECK_CONDITION("{\"Field\":\"path-pattern\",\"PathPatternConfig\":{\"Values\":[\"/"
			"rooms*\",\"/x\"]}}",
		"\tacl a path -m beg -- '/rooms'\n\tacl a path -m str -- '/x'\n");
	CHECK_CONDITION("{\"Field\":\"path-pattern\",\"PathPatternConfig\":{\"Values\":[\"/a.b/?/"
			"*.png\"]}}",
		"\tacl a path -m reg -- '^/a\\.b/./.*\\.png$'\n");
	CHECK_CONDITION("{\"Field\":\"host-header\",\"HostHeaderConfig\":{\"Values\":[\"*.x.org\"]}"
			"}",
		"\tacl a var(txn.host) -i -m reg -- '^.*\\.x\\.org$'\n");
	CHECK_CONDITION("{\"Field\":\"query-string\",\"QueryStringConfig\":{\"Values\":[{\"Key\":"
			"\"v\",\"Value\":\"2\"}]}}",
		"\tacl a url_param(v) -i -m str -- '2'\n");
}

TEST(what_users_write_stays_one_word)
{
	scoped(buf_free) struct buf out = {0};

	haproxy_quote(str_of("it's \"$HOME\" \\ #"), &out);
	CHECK_TEXT(buf_text(&out), "'it'\\''s \"$HOME\" \\ #'");
}

static const char listeners[] = "[{\"ListenerArn\":\"" LB "listener/app/lb/1/2\",\"Port\":8080}]";
static const char groups[] =
	"[{\"TargetGroupArn\":\"" BLUE "\",\"HealthCheckPath\":\"/health\","
	"\"HealthCheckIntervalSeconds\":10,\"HealthCheckTimeoutSeconds\":3,"
	"\"UnhealthyThresholdCount\":4,\"Matcher\":{\"HttpCode\":\"200-204\"}}]";
static const char rules[] =
	"[{\"RuleArn\":\"" LB "listener-rule/app/lb/1/2/dd\",\"Priority\":\"default\","
	"\"Conditions\":[],\"_listener\":\"" LB "listener/app/lb/1/2\",\"Actions\":[{\"Type\":"
	"\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"404\"}}]},"
	"{\"RuleArn\":\"" RULE_ARN "\",\"Priority\":\"10\",\"_listener\":\"" LB
	"listener/app/lb/1/2\",\"Conditions\":[{\"Field\":\"path-pattern\",\"PathPatternConfig\":"
	"{\"Values\":[\"/rooms*\"]}}],\"Actions\":[{\"Type\":\"forward\",\"ForwardConfig\":"
	"{\"TargetGroups\":[{\"TargetGroupArn\":\"" BLUE "\",\"Weight\":1}]}}]}]";

TEST(a_listener_tries_its_rules_in_order_and_the_default_last)
{
	scoped(json_free) struct json *l = parse(listeners), *g = parse(groups), *r = parse(rules);
	struct haproxy_server server = {BLUE, "10.96.0.2", 8080};
	struct haproxy_view view = {.listeners = l,
		.rules = r,
		.groups = g,
		.address = "127.0.0.1",
		.gateway = "10.96.0.1",
		.servers = &server,
		.server_count = 1};
	scoped(buf_free) struct buf out = {0};
	const char *first, *last;

	haproxy_config_write(&view, &out);
	CHECK_CONTAINS(buf_text(&out),
		"frontend l2\n\tbind 127.0.0.1:8080\n\tbind 10.96.0.1:8080\n");
	first = strstr(buf_text(&out),
		"set-var(txn.rule) str(r00000000000000aa) if !{ var(txn.rule) -m found } "
		"r00000000000000aa_0\n");
	last = strstr(buf_text(&out),
		"set-var(txn.rule) str(rdd) if !{ var(txn.rule) -m found }\n");
	CHECK(first && last && first < last);
	CHECK_CONTAINS(buf_text(&out), "set-var(txn.group) str(blue.00000000000000b1) if");
	CHECK_CONTAINS(buf_text(&out), "\thttp-request return status 404 if { var(txn.rule)");
	CHECK_CONTAINS(buf_text(&out), "backend blue.00000000000000b1\n\tbalance roundrobin\n");
	CHECK_CONTAINS(buf_text(&out), "http-check expect status '200-204'\n\ttimeout check 3s\n");
	CHECK_CONTAINS(buf_text(&out),
		"\tserver 10.96.0.2_8080 10.96.0.2:8080 weight 1 check inter 10s fastinter 1s "
		"downinter 200ms rise 1 fall 4 ");
}

TEST_MAIN()
