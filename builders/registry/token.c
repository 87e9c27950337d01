#include "builders/registry/token.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
	ANSWER_LIMIT = 1 << 20,
	LIFE_LEAST_MS = 60 * 1000, /* what the specification says of an answer without it */
	LIFE_MOST_MS = 24 * 60 * 60 * 1000, /* nobody hands out tokens for longer */
};

void token_free(struct token *token)
{
	if (token->value)
		explicit_bzero(token->value, strlen(token->value));
	text_free(&token->value);
	token->expires_ms = 0;
}

static void wipe_buf(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->size);
	buf_free(buf);
}

char *token_basic(const struct credentials *credentials)
{
	scoped(wipe_buf) struct buf plain = {0};
	struct buf out = {0};

	buf_printf(&plain, "%s:%s", credentials->user ? credentials->user : "",
		credentials->password ? credentials->password : "");
	buf_append_text(&out, "Basic ");
	base64_append(&out, plain.data, plain.size);
	return buf_take(&out);
}

/* Our own scopes, unless the registry uses words of its own (ECR Public: "aws"). */
static struct strings scopes_of(const struct token_request *request)
{
	const char *asked = request->challenge->scope;
	struct strings scopes = {0};

	if (asked && *asked && !text_starts_with(asked, "repository:")) {
		strings_add(&scopes, asked);
		return scopes;
	}
	strings_printf(&scopes, "repository:%s:%s", request->repository,
		request->push ? "pull,push" : "pull");
	if (request->mount_from)
		strings_printf(&scopes, "repository:%s:pull", request->mount_from);
	return scopes;
}

static void add_parameter(struct buf *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(out, "%s%s=", out->size ? "&" : "", name);
	percent_append(out, str_of(value), false);
}

/* A realm is named by the registry: it must not lead our password out of TLS, nor a public registry
 * into a private network. */
static bool check_realm(const struct token_request *request, struct error *err)
{
	const char *realm = request->challenge->realm;
	scoped(text_free) char *url = NULL;
	bool registry_plain = text_starts_with(request->registry_url, "http:");

	if (!text_starts_with(realm, "https://") &&
		!(registry_plain && text_starts_with(realm, "http://")))
		return error_raise(err, ERROR_DENIED,
			"the registry names \"%.200s\" as its token server, which has no TLS",
			realm);
	return location_resolve(request->registry_url, realm, NULL, &url, err);
}

static int64_t life_of(const struct json *answer)
{
	int64_t seconds = json_get_int(answer, "expires_in", 0);

	if (seconds < LIFE_LEAST_MS / 1000)
		return LIFE_LEAST_MS;
	return seconds > LIFE_MOST_MS / 1000 ? LIFE_MOST_MS : seconds * 1000;
}

static bool read_token(const struct http_response *response, const char *url, int64_t now_ms,
	struct token *out_token, struct error *err)
{
	scoped(json_free) struct json *answer = NULL;
	struct refusal refusal;
	struct error why = {0};

	if (response->status != 200) {
		refusal_parse(buf_str(&response->body), &refusal);
		error_raise(err, error_kind_of_http(response->status),
			"the token server %s answered %d%s%s", url, response->status,
			refusal.message[0] ? ": " : "", refusal.message);
		if (response->status == 401 || response->status == 403)
			error_next(err, "log in again: docker login HOST");
		return false;
	}
	if (!json_parse(buf_str(&response->body), "token", NULL, &answer, &why)) {
		error_ignore(&why, "its text may show the token");
		return error_raise(err, ERROR_PROTOCOL, "the token server %s sent no JSON", url);
	}
	const char *token = json_get_text(answer, "token", "");
	if (!*token)
		token = json_get_text(answer, "access_token", "");
	if (!*token || strpbrk(token, "\r\n \t"))
		return error_raise(err, ERROR_PROTOCOL, "the token server %s sent no token", url);
	*out_token = (struct token){.value = memory_format("Bearer %s", token),
		.expires_ms = now_ms + life_of(answer)};
	return true;
}

bool token_fetch(const struct token_request *request, struct token *out_token, struct error *err)
{
	const char *realm = request->challenge->realm;
	scoped(strings_free) struct strings scopes = scopes_of(request);
	scoped(wipe_buf) struct buf parameters = {0};
	scoped(text_free) char *basic = NULL;
	struct http_header headers[1];
	struct http_request http = {.headers = headers, .body_limit_bytes = ANSWER_LIMIT};
	struct http_response response = {0};
	int64_t now_ms = clock_now(request->clock); /* it lives from before it was asked for */

	if (!check_realm(request, err))
		return false;
	add_parameter(&parameters, "service", request->challenge->service);
	for (size_t i = 0; i < scopes.count && !request->credentials->identity_token; i++)
		add_parameter(&parameters, "scope", scopes.items[i]);
	scoped(text_free) char *url = NULL;
	if (request->credentials->identity_token) {
		/* RFC 6749, 3.3: one parameter, scopes parted by spaces. */
		scoped(buf_free) struct buf all = {0};
		for (size_t i = 0; i < scopes.count; i++)
			buf_printf(&all, "%s%s", i ? " " : "", scopes.items[i]);
		add_parameter(&parameters, "scope", buf_text(&all));
		add_parameter(&parameters, "grant_type", "refresh_token");
		add_parameter(&parameters, "client_id", "dogshore");
		add_parameter(&parameters, "refresh_token", request->credentials->identity_token);
		headers[http.header_count++] =
			(struct http_header){"Content-Type", "application/x-www-form-urlencoded"};
		url = memory_copy_text(realm);
		http.method = "POST";
		http.body = buf_str(&parameters);
	} else {
		url = memory_format("%s%c%s", realm, strchr(realm, '?') ? '&' : '?',
			buf_text(&parameters));
		if (request->credentials->password) {
			basic = token_basic(request->credentials);
			headers[http.header_count++] = (struct http_header){"Authorization", basic};
		}
	}
	http.url = url;
	bool ok = http_perform(request->client, &http, &response, err) &&
		  read_token(&response, realm, now_ms, out_token, err);
	wipe_buf(&response.body);
	http_response_free(&response);
	return ok;
}
