#include "builders/registry/answer.h"

#include "base/digest.h"
#include "base/http_client.h"
#include "base/json.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_LIMIT = 2048 };

void challenge_free(struct challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	*challenge = (struct challenge){0};
}

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip(struct str *rest, const char *what)
{
	while (rest->size > 0 && rest->data[0] && strchr(what, rest->data[0]))
		*rest = (struct str){rest->data + 1, rest->size - 1};
}

static struct str take_token(struct str *rest)
{
	size_t size = 0;

	while (size < rest->size && is_token_char(rest->data[size]))
		size++;
	struct str token = {rest->data, size};
	*rest = (struct str){rest->data + size, rest->size - size};
	return token;
}

/* A quoted string or a token; owned. */
static char *take_value(struct str *rest)
{
	struct buf value = {0};

	if (rest->size == 0 || rest->data[0] != '"') {
		struct str token = take_token(rest);
		return str_copy(token);
	}
	size_t i = 1;
	for (; i < rest->size && rest->data[i] != '"'; i++) {
		if (rest->data[i] == '\\' && i + 1 < rest->size)
			i++;
		if (value.size < VALUE_LIMIT)
			buf_append_char(&value, rest->data[i]);
	}
	if (i < rest->size)
		i++;
	*rest = (struct str){rest->data + i, rest->size - i};
	return value.size ? buf_take(&value) : memory_copy_text("");
}

static void set_parameter(struct challenge *challenge, struct str name, char *value)
{
	char **target = str_equal_ignoring_case(name, str_literal("realm")) ? &challenge->realm
			: str_equal_ignoring_case(name, str_literal("service"))
				? &challenge->service
			: str_equal_ignoring_case(name, str_literal("scope")) ? &challenge->scope
									      : NULL;

	if (!target || *target) {
		free(value);
		return;
	}
	*target = value;
}

static void keep_better(struct challenge *best, struct challenge *other)
{
	/* A bearer challenge without a realm tells nothing. */
	if (other->kind == CHALLENGE_BEARER && !other->realm)
		other->kind = CHALLENGE_NONE;
	if (other->kind > best->kind) {
		challenge_free(best);
		*best = *other;
	} else {
		challenge_free(other);
	}
	*other = (struct challenge){0};
}

void challenge_parse(struct str value, struct challenge *challenge)
{
	struct challenge current = {0};

	while (skip(&value, " \t,"), value.size > 0) {
		struct str token = take_token(&value);

		if (token.size == 0) {
			value = (struct str){value.data + 1, value.size - 1}; /* garbage */
			continue;
		}
		struct str behind = value;
		skip(&behind, " \t");
		if (behind.size > 0 && behind.data[0] == '=') {
			value = (struct str){behind.data + 1, behind.size - 1};
			skip(&value, " \t");
			set_parameter(&current, token, take_value(&value));
			continue;
		}
		keep_better(challenge, &current);
		if (str_equal_ignoring_case(token, str_literal("Bearer")))
			current.kind = CHALLENGE_BEARER;
		else if (str_equal_ignoring_case(token, str_literal("Basic")))
			current.kind = CHALLENGE_BASIC;
	}
	keep_better(challenge, &current);
}

void printable_copy(struct str from, char *to, size_t room)
{
	size_t size = 0;

	for (size_t i = 0; i < from.size && size + 1 < room; i++) {
		unsigned char c = (unsigned char)from.data[i];
		bool blank = c <= ' ' || c == 0x7f;

		if (blank && (size == 0 || to[size - 1] == ' '))
			continue;
		to[size++] = blank ? ' ' : (char)c;
	}
	while (size > 0 && to[size - 1] == ' ')
		size--;
	to[size] = 0;
}

void refusal_parse(struct str body, struct refusal *out_refusal)
{
	scoped(json_free) struct json *value = NULL;
	struct error ignored = {0};
	struct str message = {0};

	*out_refusal = (struct refusal){0};
	if (!json_parse(body, "refusal", NULL, &value, &ignored)) {
		error_ignore(&ignored, "a body of an error need not be JSON");
		/* Pages of proxies are of no help on one line. */
		if (body.size > 0 && body.data[0] != '<')
			printable_copy(body, out_refusal->message, sizeof(out_refusal->message));
		return;
	}
	const struct json *errors = json_get(value, "errors");
	const struct json *first = json_is_array(errors) ? json_at(errors, 0) : NULL;
	printable_copy(json_str(json_get(first, "code")), out_refusal->code,
		sizeof(out_refusal->code));
	message = json_str(json_get(first, "message"));
	if (message.size == 0)
		message = json_str(json_get(value, "message"));
	printable_copy(message, out_refusal->message, sizeof(out_refusal->message));
}

/* The first "sha256:…" in text. */
static bool find_digest(struct str text, struct digest *out)
{
	enum { SIZE = DIGEST_TEXT_SIZE - 1 };

	for (size_t i = 0; i + SIZE <= text.size; i++)
		if (memcmp(text.data + i, "sha256:", 7) == 0 &&
			digest_parse((struct str){text.data + i, SIZE}, out))
			return true;
	return false;
}

/* "detail" is the digest itself, or an object that has it. */
static bool missing_of(const struct json *error, struct digest *out)
{
	struct str code = json_str(json_get(error, "code"));
	const struct json *detail = json_get(error, "detail");

	if (!str_equal_text(code, "MANIFEST_BLOB_UNKNOWN") && !str_equal_text(code, "BLOB_UNKNOWN"))
		return false;
	return find_digest(json_str(detail), out) ||
	       find_digest(json_str(json_get(detail, "digest")), out) ||
	       find_digest(json_str(json_get(detail, "Digest")), out) ||
	       find_digest(json_str(json_get(error, "message")), out);
}

size_t refusal_missing(struct str body, struct digest **out_digests)
{
	scoped(json_free) struct json *value = NULL;
	struct error ignored = {0};
	size_t count = 0;

	if (!json_parse(body, "refusal", NULL, &value, &ignored)) {
		error_ignore(&ignored, "a body of an error need not be JSON");
		return 0;
	}
	const struct json *errors = json_get(value, "errors");
	size_t most = json_is_array(errors) ? json_count(errors) : 0;
	struct digest *digests = memory_new_array(most, sizeof(*digests));
	for (size_t i = 0; i < most; i++)
		count += missing_of(json_at(errors, i), &digests[count]);
	if (count == 0) {
		free(digests);
		digests = NULL;
	}
	*out_digests = digests;
	return count;
}

static bool same_host(struct str a, struct str b)
{
	return str_equal_ignoring_case(a, b);
}

static struct str port_of(const struct http_url *url)
{
	if (url->port.size > 0)
		return url->port;
	return str_equal_text(url->scheme, "https") ? str_literal("443") : str_literal("80");
}

bool url_same_origin(const char *a, const char *b)
{
	struct http_url x, y;
	struct error ignored = {0};

	if (!http_url_parse(a, &x, &ignored) || !http_url_parse(b, &y, &ignored)) {
		error_ignore(&ignored, "what cannot be read is not the same");
		return false;
	}
	return str_equal(x.scheme, y.scheme) && same_host(x.host, y.host) &&
	       str_equal(port_of(&x), port_of(&y));
}

bool location_resolve(const char *base_url, const char *location, const char *digest,
	char **out_url, struct error *err)
{
	scoped(text_free) char *url = NULL;
	struct http_url from, to;

	if (!location || !*location)
		return error_raise(err, ERROR_PROTOCOL,
			"the registry did not say where the upload goes (no Location)");
	if (!http_url_resolve(base_url, location, &url, err))
		return false;
	if (!http_url_parse(base_url, &from, err) || !http_url_parse(url, &to, err))
		return false;
	if (!http_host_may_lead_to(from.host, to.host))
		return error_raise(err, ERROR_DENIED,
			"%.*s sends the upload to the private address %.*s; refused",
			str_args(from.host), str_args(to.host));
	if (!digest) {
		*out_url = url;
		url = NULL;
		return true;
	}
	scoped(buf_free) struct buf escaped = {0};
	percent_append(&escaped, str_of(digest), false);
	*out_url = memory_format("%s%cdigest=%s", url, strchr(url, '?') ? '&' : '?',
		buf_text(&escaped));
	return true;
}
