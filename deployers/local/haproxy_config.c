#include "deployers/local/haproxy_config.h"

#include "base/memory.h"

#include <stdlib.h>

static const char *after_last(const char *text, char separator)
{
	const char *at = strrchr(text, separator);

	return at ? at + 1 : text;
}

void haproxy_group_name(const char *group_arn, struct buf *out)
{
	const char *name = strstr(group_arn, ":targetgroup/");

	for (name = name ? name + strlen(":targetgroup/") : group_arn; *name; name++)
		buf_append_char(out, *name == '/' ? '.' : *name);
}

void haproxy_rule_name(const char *rule_arn, struct buf *out)
{
	buf_printf(out, "r%s", after_last(rule_arn, '/'));
}

void haproxy_server_name(const char *ip, int port, struct buf *out)
{
	buf_printf(out, "%s_%d", ip, port);
}

void haproxy_quote(struct str text, struct buf *out)
{
	buf_append_char(out, '\'');
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\'')
			buf_append_text(out, "'\\''");
		else if (text.data[i] == '\n')
			buf_append_text(out, "'\\n'");
		else
			buf_append_char(out, text.data[i]);
	}
	buf_append_char(out, '\'');
}

/*
 * Our own probes decide who is in rotation; HAProxy's check is for the time when we are not there.
 * Two refused connections take a server out at once (it is asked again every 200 ms), and a request
 * that found it refused is sent to another.
 */
void haproxy_server_options(const struct json *group, const char *ip, int port, struct buf *out)
{
	const char *check_port = json_get_text(group, "HealthCheckPort", "traffic-port");

	buf_printf(out,
		"%s:%d weight 1 check inter %llds fastinter 1s downinter 200ms rise 1 fall %lld "
		"observe layer4 error-limit 2 on-error mark-down",
		ip, port, (long long)json_get_int(group, "HealthCheckIntervalSeconds", 30),
		(long long)json_get_int(group, "UnhealthyThresholdCount", 2));
	if (!text_equal(check_port, "traffic-port"))
		buf_printf(out, " port %s", check_port);
}

static void write_global(const struct haproxy_view *view, struct buf *out)
{
	buf_append_text(out, "# Written by the local cloud; changes are lost.\nglobal\n");
	if (view->description)
		buf_printf(out, "\tdescription %s\n", view->description);
	if (view->user)
		buf_printf(out, "\tuser %s\n\tgroup %s\n", view->user, view->group);
	buf_append_text(out,
		"\tstats socket unix@worker.sock mode 600 level admin expose-fd listeners\n"
		"\tstats timeout 20d\n"
		"\thard-stop-after 120s\n"
		"\tmaxconn 4096\n"
		"\tnbthread 2\n"
		"defaults\n"
		"\tmode http\n"
		"\ttimeout connect 2s\n"
		"\ttimeout client 60s\n"
		"\ttimeout http-keep-alive 60s\n"
		"\ttimeout server 60s\n"
		"\ttimeout queue 5s\n"
		/* A client's idle connection is closed with an answer, never in its face. */
		"\toption idle-close-on-response\n"
		"\toption forwardfor\n"
		"\tretries 3\n"
		"\toption redispatch 1\n"
		"\tretry-on conn-failure empty-response\n");
}

const struct json *rule_target_groups(const struct json *rule)
{
	const struct json *actions = json_get(rule, "Actions");

	for (size_t i = 0; i < json_count(actions); i++) {
		const struct json *action = json_at(actions, i);

		if (text_equal(json_get_text(action, "Type", ""), "forward"))
			return json_get(json_get(action, "ForwardConfig"), "TargetGroups");
	}
	return NULL;
}

void haproxy_rule_shares(const struct json *rule,
	void (*each)(void *context, const char *key, int64_t share), void *context)
{
	const struct json *groups = rule_target_groups(rule);
	scoped(buf_free) struct buf key = {0};
	int64_t total = 0, sum = 0;

	if (json_count(groups) < 2)
		return;
	for (size_t i = 0; i < json_count(groups); i++)
		total += json_get_int(json_at(groups, i), "Weight", 1);
	for (size_t i = 0; i < json_count(groups); i++) {
		sum += json_get_int(json_at(groups, i), "Weight", 1);
		buf_clear(&key);
		haproxy_rule_name(json_get_text(rule, "RuleArn", ""), &key);
		buf_printf(&key, ".%zu", i);
		each(context, buf_text(&key), total ? sum * HAPROXY_SHARES / total : 0);
	}
}

static void write_forward(const struct json *rule, const char *name, struct buf *out)
{
	const struct json *groups = rule_target_groups(rule);
	size_t count = json_count(groups);

	if (count > 1)
		buf_printf(out,
			"\thttp-request set-var(txn.draw) rand(%d) if { var(txn.rule) -m str %s "
			"}\n",
			HAPROXY_SHARES, name);
	for (size_t i = 0; i < count; i++) {
		scoped(buf_free) struct buf group = {0};

		haproxy_group_name(json_get_text(json_at(groups, i), "TargetGroupArn", ""), &group);
		if (count == 1) {
			buf_printf(out,
				"\thttp-request set-var(txn.group) str(%s) if { var(txn.rule) -m "
				"str %s }\n",
				buf_text(&group), name);
			continue;
		}
		buf_printf(out,
			"\thttp-request set-var(txn.share) str(%s.%zu),map_str_int(weights.map,0) "
			"if { var(txn.rule) -m str %s }\n"
			"\thttp-request set-var(txn.left) var(txn.draw),sub(txn.share) if { "
			"var(txn.rule) -m str %s }\n"
			"\thttp-request set-var(txn.group) str(%s) if { var(txn.rule) -m str %s } "
			"{ var(txn.left) -m int lt 0 } !{ var(txn.group) -m found }\n",
			name, i, name, name, buf_text(&group), name);
	}
}

static void write_fixed_response(const struct json *config, const char *name, struct buf *out)
{
	const char *body = json_get_text(config, "MessageBody", "");
	const char *type = json_get_text(config, "ContentType", NULL);

	buf_printf(out, "\thttp-request return status %s",
		json_get_text(config, "StatusCode", "503"));
	if (type || *body) {
		buf_append_text(out, " content-type ");
		haproxy_quote(str_of(type ? type : "text/plain"), out);
		buf_append_text(out, " string ");
		haproxy_quote(str_of(body), out);
	}
	buf_printf(out, " if { var(txn.rule) -m str %s }\n", name);
}

/* Text of a redirect with #{…} as a log-format of HAProxy; '%' stands for itself. */
static void write_placeholders(const char *text, struct buf *out)
{
	static const char *const known[][2] = {
		{"#{host}", "%[var(txn.host)]"},
		{"#{path}", "%[path,bytes(1)]"},
		{"#{port}", "%[dst_port]"},
		{"#{protocol}", "http"},
		{"#{query}", "%[query]"},
	};

	while (*text) {
		bool found = false;

		for (size_t i = 0; !found && i < countof(known); i++) {
			if (!text_starts_with(text, known[i][0]))
				continue;
			buf_append_text(out, known[i][1]);
			text += strlen(known[i][0]);
			found = true;
		}
		if (found)
			continue;
		buf_append_text(out, *text == '%' ? "%%" : (char[]){*text, '\0'});
		text++;
	}
}

static void write_redirect(const struct json *config, const char *name, struct buf *out)
{
	const char *query = json_get_text(config, "Query", "#{query}");
	const char *protocol = json_get_text(config, "Protocol", "#{protocol}");
	scoped(buf_free) struct buf url = {0};

	write_placeholders(text_equal(protocol, "HTTPS") ? "https" : "http", &url);
	buf_append_text(&url, "://");
	write_placeholders(json_get_text(config, "Host", "#{host}"), &url);
	buf_append_char(&url, ':');
	write_placeholders(json_get_text(config, "Port", "#{port}"), &url);
	write_placeholders(json_get_text(config, "Path", "/#{path}"), &url);
	if (*query) {
		buf_append_char(&url, '?');
		write_placeholders(query, &url);
	}
	buf_append_text(out, "\thttp-request redirect location ");
	haproxy_quote(buf_str(&url), out);
	buf_printf(out, " code %s if { var(txn.rule) -m str %s }\n",
		text_equal(json_get_text(config, "StatusCode", ""), "HTTP_301") ? "301" : "302",
		name);
}

static void write_actions(const struct json *rule, const char *name, struct buf *out)
{
	const struct json *actions = json_get(rule, "Actions");

	for (size_t i = 0; i < json_count(actions); i++) {
		const struct json *action = json_at(actions, i);
		const char *type = json_get_text(action, "Type", "");

		if (text_equal(type, "fixed-response"))
			write_fixed_response(json_get(action, "FixedResponseConfig"), name, out);
		else if (text_equal(type, "redirect"))
			write_redirect(json_get(action, "RedirectConfig"), name, out);
		else
			write_forward(rule, name, out);
	}
}

/* The first rule whose conditions all hold gives txn.rule. */
static void write_match(const struct json *rule, const char *name, struct buf *out)
{
	const struct json *conditions = json_get(rule, "Conditions");
	scoped(buf_free) struct buf words = {0};

	for (size_t i = 0; i < json_count(conditions); i++) {
		scoped(text_free) char *acl = memory_format("%s_%zu", name, i);

		haproxy_condition_write(json_at(conditions, i), acl, out);
		buf_printf(&words, " %s", acl);
	}
	buf_printf(out,
		"\thttp-request set-var(txn.rule) str(%s) if !{ var(txn.rule) -m found }%s\n", name,
		buf_text(&words));
}

struct ranked {
	int64_t priority;
	const struct json *rule;
};

static int by_priority(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->priority < y->priority ? -1 : x->priority > y->priority;
}

/* The listener's rules in order, the default last; *out_count of them, owned. */
static struct ranked *rules_of(const struct haproxy_view *view, const char *listener_arn,
	size_t *out_count)
{
	struct ranked *list = memory_new_array(json_count(view->rules), sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < json_count(view->rules); i++) {
		const struct json *rule = json_at(view->rules, i);
		int64_t priority = INT64_MAX;

		if (!text_equal(json_get_text(rule, "_listener", ""), listener_arn))
			continue;
		if (!str_to_int(json_str(json_get(rule, "Priority")), &priority))
			priority = INT64_MAX;
		list[count++] = (struct ranked){priority, rule};
	}
	qsort(list, count, sizeof(*list), by_priority);
	*out_count = count;
	return list;
}

static void write_frontend(const struct haproxy_view *view, const struct json *listener,
	struct buf *out)
{
	const char *arn = json_get_text(listener, "ListenerArn", "");
	long long port = json_get_int(listener, "Port", 0);
	size_t count;
	struct ranked *rules = rules_of(view, arn, &count);

	buf_printf(out, "frontend l%s\n\tbind %s:%lld\n", after_last(arn, '/'), view->address,
		port);
	if (view->gateway)
		buf_printf(out, "\tbind %s:%lld\n", view->gateway, port);
	buf_append_text(out,
		"\thttp-request set-var(txn.host) hdr(host),host_only\n"
		"\thttp-request set-header X-Forwarded-Proto http\n"
		"\thttp-request set-header X-Forwarded-Port %[dst_port]\n"
		/* Only what may be repeated is sent again when a server dies without an answer. */
		"\thttp-request disable-l7-retry if !{ method GET HEAD OPTIONS }\n");
	for (size_t i = 0; i < count; i++) {
		scoped(buf_free) struct buf name = {0};

		haproxy_rule_name(json_get_text(rules[i].rule, "RuleArn", ""), &name);
		write_match(rules[i].rule, buf_text(&name), out);
	}
	for (size_t i = 0; i < count; i++) {
		scoped(buf_free) struct buf name = {0};

		haproxy_rule_name(json_get_text(rules[i].rule, "RuleArn", ""), &name);
		write_actions(rules[i].rule, buf_text(&name), out);
	}
	buf_append_text(out, "\tuse_backend %[var(txn.group)]\n");
	free(rules);
}

static const char *attribute(const struct json *group, const char *key, const char *fallback)
{
	return json_get_text(json_get(group, "_attributes"), key, fallback);
}

static void write_backend(const struct haproxy_view *view, const struct json *group,
	struct buf *out)
{
	const char *arn = json_get_text(group, "TargetGroupArn", "");
	const char *algorithm = attribute(group, "load_balancing.algorithm.type", "round_robin");

	buf_append_text(out, "backend ");
	haproxy_group_name(arn, out);
	buf_printf(out, "\n\tbalance %s\n\toption httpchk\n\thttp-check send meth GET uri ",
		text_equal(algorithm, "least_outstanding_requests") ? "leastconn" : "roundrobin");
	haproxy_quote(str_of(json_get_text(group, "HealthCheckPath", "/")), out);
	buf_append_text(out, " ver HTTP/1.1 hdr Host localhost\n\thttp-check expect status ");
	haproxy_quote(str_of(json_get_text(json_get(group, "Matcher"), "HttpCode", "200")), out);
	buf_printf(out, "\n\ttimeout check %llds\n",
		(long long)json_get_int(group, "HealthCheckTimeoutSeconds", 5));
	for (size_t i = 0; i < view->server_count; i++) {
		const struct haproxy_server *server = &view->servers[i];

		if (!text_equal(server->group_arn, arn))
			continue;
		buf_append_text(out, "\tserver ");
		haproxy_server_name(server->ip, server->port, out);
		buf_append_char(out, ' ');
		haproxy_server_options(group, server->ip, server->port, out);
		buf_append_char(out, '\n');
	}
}

void haproxy_config_write(const struct haproxy_view *view, struct buf *out)
{
	write_global(view, out);
	for (size_t i = 0; i < json_count(view->listeners); i++)
		write_frontend(view, json_at(view->listeners, i), out);
	for (size_t i = 0; i < json_count(view->groups); i++)
		write_backend(view, json_at(view->groups, i), out);
}
