#include "deployers/local/haproxy_config.h"

#include "base/memory.h"

/* A pattern of ELBv2 ('*' any run, '?' one character) as an extended regular expression. */
static void write_regex(const char *pattern, bool whole, struct buf *out)
{
	scoped(buf_free) struct buf regex = {0};

	buf_append_text(&regex, whole ? "^" : "");
	for (; *pattern; pattern++) {
		if (*pattern == '*')
			buf_append_text(&regex, ".*");
		else if (*pattern == '?')
			buf_append_char(&regex, '.');
		else if (strchr("\\^$.|()[]{}+", *pattern))
			buf_printf(&regex, "\\%c", *pattern);
		else
			buf_append_char(&regex, *pattern);
	}
	buf_append_text(&regex, whole ? "$" : "");
	haproxy_quote(buf_str(&regex), out);
}

/* How a pattern is matched: "str", "beg" or "reg", with its argument. Most need no expression. */
static void write_pattern(const char *pattern, struct buf *out)
{
	size_t plain = strcspn(pattern, "*?");
	struct str text = str_of(pattern);

	if (!pattern[plain]) {
		buf_append_text(out, "-m str -- ");
		haproxy_quote(text, out);
	} else if (plain && plain + 1 == text.size && pattern[plain] == '*') {
		buf_append_text(out, "-m beg -- ");
		haproxy_quote((struct str){pattern, plain}, out);
	} else {
		buf_append_text(out, "-m reg -- ");
		write_regex(pattern, true, out);
	}
}

static void write_lines(const struct json *values, const char *acl, const char *fetch,
	const char *flags, struct buf *out)
{
	for (size_t i = 0; i < json_count(values); i++) {
		buf_printf(out, "\tacl %s %s %s", acl, fetch, flags);
		write_pattern(json_text(json_at(values, i), ""), out);
		buf_append_char(out, '\n');
	}
}

/* {Key, Value}: a parameter of that name and value; without Key one of any name. */
static void write_query(const struct json *values, const char *acl, struct buf *out)
{
	for (size_t i = 0; i < json_count(values); i++) {
		const char *key = json_get_text(json_at(values, i), "Key", NULL);
		const char *value = json_get_text(json_at(values, i), "Value", "");
		scoped(text_free) char *fetch =
			key ? memory_format("url_param(%s)", key) : memory_copy_text("url_param");

		buf_printf(out, "\tacl %s %s -i ", acl, fetch);
		write_pattern(value, out);
		buf_append_char(out, '\n');
	}
}

static void write_words(const struct json *values, const char *acl, const char *fetch,
	struct buf *out)
{
	for (size_t i = 0; i < json_count(values); i++) {
		buf_printf(out, "\tacl %s %s -- ", acl, fetch);
		haproxy_quote(json_str(json_at(values, i)), out);
		buf_append_char(out, '\n');
	}
}

void haproxy_condition_write(const struct json *condition, const char *acl, struct buf *out)
{
	const char *field = json_get_text(condition, "Field", "");
	const struct json *header = json_get(condition, "HttpHeaderConfig");

	if (text_equal(field, "path-pattern")) {
		write_lines(json_get(json_get(condition, "PathPatternConfig"), "Values"), acl,
			"path", "", out);
	} else if (text_equal(field, "host-header")) {
		write_lines(json_get(json_get(condition, "HostHeaderConfig"), "Values"), acl,
			"var(txn.host)", "-i ", out);
	} else if (text_equal(field, "http-header")) {
		scoped(text_free) char *fetch =
			memory_format("req.hdr(%s)", json_get_text(header, "HttpHeaderName", ""));

		write_lines(json_get(header, "Values"), acl, fetch, "-i ", out);
	} else if (text_equal(field, "http-request-method")) {
		write_words(json_get(json_get(condition, "HttpRequestMethodConfig"), "Values"), acl,
			"method", out);
	} else if (text_equal(field, "query-string")) {
		write_query(json_get(json_get(condition, "QueryStringConfig"), "Values"), acl, out);
	} else if (text_equal(field, "source-ip")) {
		write_words(json_get(json_get(condition, "SourceIpConfig"), "Values"), acl, "src",
			out);
	}
}
