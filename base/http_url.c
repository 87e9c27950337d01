#include "base/curl_library.h"
#include "base/http_client.h"
#include "base/memory.h"

#include <arpa/inet.h>

static bool is_host(struct str host)
{
	for (size_t i = 0; i < host.size; i++) {
		unsigned char c = (unsigned char)host.data[i];

		if (c <= ' ' || c == 0x7F || strchr("@/?#\\<>\"", c))
			return false;
	}
	return host.size > 0;
}

static bool is_port(struct str port)
{
	int64_t number = 0;

	return port.size == 0 || (str_to_int(port, &number) && number > 0 && number <= 65535);
}

/* "[::1]:80" and "host:80" in their two parts; the brackets go. */
static bool cut_authority(struct str authority, struct str *host, struct str *port)
{
	if (authority.size && authority.data[0] == '[') {
		struct str rest = {authority.data + 1, authority.size - 1};

		*host = str_cut(&rest, ']');
		if (!rest.data || (rest.size && rest.data[0] != ':'))
			return false;
		*port = rest.size ? (struct str){rest.data + 1, rest.size - 1} : (struct str){0};
		return true;
	}
	*port = authority;
	*host = str_cut(port, ':');
	return true;
}

bool http_url_parse(const char *url, struct http_url *out_parts, struct error *err)
{
	struct http_url parts = {0};
	const char *mark = strstr(url, "://");
	struct str rest = str_of(mark ? mark + 3 : NULL);

	parts.scheme = (struct str){url, mark ? (size_t)(mark - url) : 0};
	if (!str_equal_ignoring_case(parts.scheme, str_literal("http")) &&
		!str_equal_ignoring_case(parts.scheme, str_literal("https")))
		return error_raise(err, ERROR_INVALID, "\"%.200s\" is no http:// or https:// URL",
			url);
	rest = str_cut(&rest, '#'); /* a fragment never goes on the wire */

	size_t authority_size = 0;

	while (authority_size < rest.size && !strchr("/?", rest.data[authority_size]))
		authority_size++;
	parts.path = (struct str){rest.data + authority_size, rest.size - authority_size};
	parts.query = parts.path;
	parts.path = str_cut(&parts.query, '?');
	/* A name and password in a URL end up in logs; nobody needs them, so nobody may. */
	if (!cut_authority((struct str){rest.data, authority_size}, &parts.host, &parts.port) ||
		!is_host(parts.host) || !is_port(parts.port))
		return error_raise(err, ERROR_INVALID,
			"the URL does not name a host and port as http://host:port/ does");
	*out_parts = parts;
	return true;
}

bool http_host_is_loopback(struct str host)
{
	char text[64];
	struct in_addr v4;
	struct in6_addr v6;

	if (str_equal_ignoring_case(host, str_literal("localhost")))
		return true;
	if (host.size >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", str_args(host));
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* From where an address means something. */
enum reach {
	REACH_PUBLIC,
	REACH_PRIVATE,    /* one network */
	REACH_LOOPBACK,   /* this machine */
	REACH_LINK_LOCAL, /* the next cable: where clouds hand out credentials (169.254.169.254) */
};

/* Source  RFC 1918, RFC 6598 (carriers' networks), RFC 3927 (link-local), RFC 1122 (0/8). */
static enum reach reach_of_v4(uint32_t a)
{
	if (a >> 24 == 127 || a >> 24 == 0)
		return REACH_LOOPBACK;
	if (a >> 16 == 0xa9fe)
		return REACH_LINK_LOCAL;
	return a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x191
		       ? REACH_PRIVATE
		       : REACH_PUBLIC;
}

/* RFC 4193, RFC 4291; an IPv4 address in IPv6's clothes is what it is. */
static enum reach reach_of_v6(const struct in6_addr *v6)
{
	uint32_t last;

	memcpy(&last, v6->s6_addr + 12, sizeof(last));
	if (IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_UNSPECIFIED(v6))
		return REACH_LOOPBACK;
	if (IN6_IS_ADDR_V4MAPPED(v6) || IN6_IS_ADDR_V4COMPAT(v6))
		return reach_of_v4(ntohl(last));
	if (v6->s6_addr[0] == 0xfe && (v6->s6_addr[1] & 0xc0) == 0x80)
		return REACH_LINK_LOCAL;
	return (v6->s6_addr[0] & 0xfe) == 0xfc ? REACH_PRIVATE : REACH_PUBLIC;
}

static enum reach reach_of(struct str host)
{
	char text[64];
	struct in_addr v4;
	struct in6_addr v6;

	if (host.size > 1 && host.data[host.size - 1] == '.')
		host.size--;
	if (http_host_is_loopback(host))
		return REACH_LOOPBACK;
	if (host.size > 1 && host.data[0] == '[')
		host = (struct str){host.data + 1, host.size - 2};
	if (host.size >= sizeof(text))
		return REACH_PUBLIC;
	snprintf(text, sizeof(text), "%.*s", str_args(host));
	/* "2130706433" and "0x7f.1" are addresses to whoever connects. */
	if (inet_aton(text, &v4))
		return reach_of_v4(ntohl(v4.s_addr));
	return inet_pton(AF_INET6, text, &v6) == 1 ? reach_of_v6(&v6) : REACH_PUBLIC;
}

bool http_host_may_lead_to(struct str from, struct str to)
{
	enum reach inside = reach_of(from), wanted = reach_of(to);

	if (str_equal_ignoring_case(from, to) || wanted == REACH_PUBLIC || wanted == inside)
		return true;
	return wanted == REACH_PRIVATE && inside == REACH_LOOPBACK;
}

bool http_url_resolve(const char *base, const char *location, char **out_url, struct error *err)
{
	char *text = NULL;
	struct http_url parts;

	if (!curl_library_load(err))
		return false;

	CURLU *url = curl.url();
	bool ok = url && curl.url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
		  curl.url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
		  curl.url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK;

	curl.url_cleanup(url);
	ok = ok && http_url_parse(text, &parts, NULL);
	if (ok)
		*out_url = memory_copy_text(text);
	curl.free(text);
	return ok || error_raise(err, ERROR_PROTOCOL,
			     "the answer leads to \"%.200s\", which is no http(s) URL", location);
}
