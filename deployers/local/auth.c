#include "deployers/local/auth.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	SKEW_MS = 5 * 60 * 1000,
	EXPIRES_MAX_S = 7 * 24 * 3600,
	HEADERS_MAX = 128,
	HOUR_MS = 3600 * 1000,
	TOKEN_HOURS = 12,
	SECRET_BYTES = 30,
	FILE_LIMIT = 64 * 1024,
};

struct auth {
	struct cloud *cloud;          /* borrowed */
	char *path;                   /* owned: credentials.json */
	char *access_key_id, *secret; /* owned */
};

/* Twenty characters that look like an access key of AWS; forty for the secret. */
static void make_key(struct auth *auth)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned char bytes[SECRET_BYTES];
	struct buf id = {0}, secret = {0};

	random_bytes(bytes, sizeof(bytes));
	buf_append_text(&id, "AKIA");
	for (size_t i = 0; i < 16; i++)
		buf_append_char(&id, alphabet[bytes[i] % 32]);
	random_bytes(bytes, sizeof(bytes));
	base64_append(&secret, bytes, sizeof(bytes));
	auth->access_key_id = buf_take(&id);
	auth->secret = buf_take(&secret);
}

bool auth_open(struct cloud *cloud, struct auth **out_auth, struct error *err)
{
	scoped(auth_free) struct auth *auth = memory_new(sizeof(*auth));
	scoped(json_free) struct json *file = NULL;

	auth->cloud = cloud;
	auth->path = path_join(cloud->state, "credentials.json");
	if (!file_exists(auth->path)) {
		make_key(auth);
	} else {
		if (!json_read_file(auth->path, FILE_LIMIT, &file, err))
			return error_while(err, "reading the keys of the local cloud");
		auth->access_key_id = memory_copy_text(json_get_text(file, "access_key_id", NULL));
		auth->secret = memory_copy_text(json_get_text(file, "secret_access_key", NULL));
		if (!auth->access_key_id || !auth->secret) {
			error_raise(err, ERROR_INVALID, "\"%s\" holds no access key", auth->path);
			return error_next(err, "remove the file: new keys are made then");
		}
	}
	*out_auth = auth;
	auth = NULL;
	return true;
}

void auth_free(struct auth **address)
{
	struct auth *auth = *address;

	if (!auth)
		return;
	free(auth->path);
	free(auth->access_key_id);
	free(auth->secret);
	free(auth);
	*address = NULL;
}

const char *auth_access_key_id(const struct auth *auth)
{
	return auth->access_key_id;
}

bool auth_announce(struct auth *auth, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct json_writer w = json_writer_start(&text);

	json_object_begin(&w);
	json_key(&w, "endpoint");
	json_write_format(&w, "http://%s:%d", auth->cloud->host, auth->cloud->port);
	json_put_text(&w, "region", auth->cloud->region);
	json_put_text(&w, "account", auth->cloud->account);
	json_put_text(&w, "access_key_id", auth->access_key_id);
	json_put_text(&w, "secret_access_key", auth->secret);
	json_object_end(&w);
	buf_append_char(&text, '\n');
	return file_write(auth->path, buf_str(&text), 0600, true, err);
}

/* Where a signature was found and what it says, before anything of it is believed. */
struct claim {
	struct sigv4_received received;
	struct str time; /* X-Amz-Date */
	bool presigned;
	int64_t expires_s; /* presigned only */
	struct buf query;  /* owned: the query without X-Amz-Signature */
	struct buf parts;  /* owned: decoded query parameters that received points into */
	struct buf authorization;
};

static void claim_free(struct claim *claim)
{
	buf_free(&claim->query);
	buf_free(&claim->parts);
	buf_free(&claim->authorization);
}

static struct str header_value(const struct auth_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (str_equal_ignoring_case(request->headers[i].name, str_of(name)))
			return request->headers[i].value;
	return (struct str){0};
}

/* The codes differ: JSON services have an older family of their own. */
static bool denied(struct refusal *refusal, bool json, const char *query_code,
	const char *json_code, const char *message)
{
	return refuse(refusal, 403, json ? json_code : query_code, "%s", message);
}

static bool incomplete(struct refusal *refusal, bool json, const char *message)
{
	return denied(refusal, json, "IncompleteSignature", "IncompleteSignatureException",
		message);
}

static bool mismatch(struct refusal *refusal, bool json, const char *message)
{
	return denied(refusal, json, "SignatureDoesNotMatch", "InvalidSignatureException", message);
}

/*
 * Reads the X-Amz-* parameters of a presigned URL by putting them together as the Authorization
 * header that would say the same, so that one parser judges both.
 */
static bool read_presigned(struct str query, struct claim *claim)
{
	scoped(buf_free) struct buf credential = {0}, headers = {0}, signature = {0}, expires = {0};
	struct str rest = query;

	while (rest.data) {
		struct str pair = str_cut(&rest, '&'), value = pair, name = str_cut(&value, '=');
		struct buf *to = str_equal_text(name, "X-Amz-Credential")      ? &credential
				 : str_equal_text(name, "X-Amz-SignedHeaders") ? &headers
				 : str_equal_text(name, "X-Amz-Signature")     ? &signature
				 : str_equal_text(name, "X-Amz-Date")          ? &claim->parts
				 : str_equal_text(name, "X-Amz-Expires")       ? &expires
									       : NULL;

		if (to && (to->size || !percent_decode(value, false, to)))
			return false;
		if (to == &signature)
			continue;
		if (claim->query.size)
			buf_append_char(&claim->query, '&');
		buf_append_str(&claim->query, pair);
	}
	claim->time = buf_str(&claim->parts);
	buf_printf(&claim->authorization,
		"AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, Signature=%s",
		buf_text(&credential), buf_text(&headers), buf_text(&signature));
	return str_to_int(buf_str(&expires), &claim->expires_s) && claim->expires_s >= 0 &&
	       claim->expires_s <= EXPIRES_MAX_S;
}

static bool read_claim(const struct auth_request *request, bool json, struct claim *claim,
	struct refusal *refusal)
{
	struct str query = request->target, authorization = header_value(request, "authorization");
	struct error err = {0};

	str_cut(&query, '?');
	if (authorization.size) {
		buf_append_str(&claim->authorization, authorization);
		buf_append_str(&claim->query, query);
		claim->time = header_value(request, "x-amz-date");
	} else if (query.size && memmem(query.data, query.size, "X-Amz-Signature=", 16)) {
		claim->presigned = true;
		if (!read_presigned(query, claim))
			return incomplete(refusal, json,
				"The X-Amz-* parameters of the URL are not those of a presigned "
				"request.");
	} else {
		return denied(refusal, json, "MissingAuthenticationToken",
			"MissingAuthenticationTokenException",
			"Request is missing Authentication Token");
	}
	if (!sigv4_authorization_parse(buf_str(&claim->authorization), &claim->received, &err)) {
		incomplete(refusal, json, err.message ? err.message : "");
		error_free(&err);
		return false;
	}
	return true;
}

/* The scope must be today's, ours and this service's. */
static bool check_scope(struct auth *auth, const struct claim *claim, const char *service,
	bool json, int64_t *out_time_ms, struct refusal *refusal)
{
	scoped(text_free) char *message = NULL;
	int64_t now = clock_now(auth->cloud->clock), time_ms, window;
	char now_text[TIME_TEXT_SIZE];

	if (!time_of_basic(claim->time, &time_ms))
		return incomplete(refusal, json,
			"The request has no X-Amz-Date of the form 20261120T080000Z.");
	if (claim->received.date.size != 8 || claim->time.size < 8 ||
		memcmp(claim->received.date.data, claim->time.data, 8) != 0)
		return mismatch(refusal, json,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version "
			"of date from HTTP");
	window = claim->presigned ? claim->expires_s * 1000 : SKEW_MS;
	time_to_basic(now, now_text);
	if (now - time_ms > window) {
		message = memory_format("Signature expired: %.*s is now earlier than %s minus the "
					"%lld s it is valid for.",
			str_args(claim->time), now_text, (long long)(window / 1000));
		return mismatch(refusal, json, message);
	}
	if (time_ms - now > SKEW_MS) {
		message = memory_format("Signature not yet current: %.*s is still later than %s "
					"(+ 5 min.)",
			str_args(claim->time), now_text);
		return mismatch(refusal, json, message);
	}
	if (!str_equal_text(claim->received.region, auth->cloud->region)) {
		message =
			memory_format("Credential should be scoped to a valid region, not '%.*s'; "
				      "this is '%s'.",
				str_args(claim->received.region), auth->cloud->region);
		return mismatch(refusal, json, message);
	}
	if (!str_equal_text(claim->received.service, service)) {
		message = memory_format("Credential should be scoped to correct service: '%s'.",
			service);
		return mismatch(refusal, json, message);
	}
	*out_time_ms = time_ms;
	return true;
}

/* Picks the headers that were signed; host and the date must be among them. */
static bool pick_headers(const struct auth_request *request, const struct claim *claim, bool json,
	struct sigv4_header picked[HEADERS_MAX], size_t *out_count, struct refusal *refusal)
{
	struct str rest = claim->received.signed_headers;
	bool host = false, date = claim->presigned;

	*out_count = 0;
	while (rest.data) {
		struct str name = str_cut(&rest, ';');
		size_t before = *out_count;

		host = host || str_equal_text(name, "host");
		date = date || str_equal_text(name, "x-amz-date");
		for (size_t i = 0; i < request->header_count; i++) {
			if (!str_equal_ignoring_case(request->headers[i].name, name))
				continue;
			if (*out_count == HEADERS_MAX)
				return incomplete(refusal, json, "Too many signed headers.");
			picked[(*out_count)++] = request->headers[i];
		}
		if (*out_count == before)
			return mismatch(refusal, json,
				"A header named in SignedHeaders is not in the request.");
	}
	if (!host || !date)
		return incomplete(refusal, json,
			"'Host' and 'X-Amz-Date' must be among the signed headers.");
	return true;
}

bool auth_verify(struct auth *auth, const struct auth_request *request, const char *service,
	bool json, struct refusal *refusal)
{
	scoped(claim_free) struct claim claim = {0};
	scoped(buf_free) struct buf canonical = {0}, to_sign = {0};
	struct sigv4_header headers[HEADERS_MAX];
	char payload[DIGEST_HEX_SIZE], expected[65];
	struct str path = request->target;
	int64_t time_ms = 0;
	size_t count;

	if (!read_claim(request, json, &claim, refusal))
		return false;
	if (!str_equal_text(claim.received.access_key_id, auth->access_key_id) ||
		header_value(request, "x-amz-security-token").size)
		return denied(refusal, json, "InvalidClientTokenId", "UnrecognizedClientException",
			"The security token included in the request is invalid.");
	if (!check_scope(auth, &claim, service, json, &time_ms, refusal) ||
		!pick_headers(request, &claim, json, headers, &count, refusal))
		return false;

	struct digest body = digest_of_str(request->body);

	digest_to_hex(&body, payload);
	sigv4_canonical_request(
		&(struct sigv4_request){
			.method = request->method,
			.path = str_cut(&path, '?'),
			.query = buf_str(&claim.query),
			.headers = headers,
			.header_count = count,
			.payload_sha256 = str_of(payload),
			.normalise_path = true,
			.escape_path_twice = true,
		},
		&canonical);
	struct sigv4_scope scope = {.region = str_of(auth->cloud->region),
		.service = str_of(service),
		.time_ms = time_ms};

	sigv4_string_to_sign(buf_str(&canonical), &scope, &to_sign);
	sigv4_signature(str_of(auth->secret), &scope, buf_str(&to_sign), expected);
	if (claim.received.signature.size != 64 ||
		!bytes_equal_constant_time(claim.received.signature.data, expected, 64))
		return mismatch(refusal, json,
			"The request signature we calculated does not match the signature you "
			"provided. Check your AWS Secret Access Key and signing method.");
	return true;
}

/*
 * Nothing is stored for a registry password: it is the HMAC of the hour under the secret, so every
 * password of the last twelve hours can be computed again, also after a restart.
 */
static void password_of(const struct auth *auth, int64_t hour, char out[DIGEST_HEX_SIZE])
{
	scoped(text_free) char *text = memory_format("registry %lld", (long long)hour);
	struct digest mac = hmac_sha256(auth->secret, strlen(auth->secret), text, strlen(text));

	digest_to_hex(&mac, out);
}

char *auth_registry_password(struct auth *auth, int64_t *out_expires_ms)
{
	int64_t hour = clock_now(auth->cloud->clock) / HOUR_MS;
	char hex[DIGEST_HEX_SIZE];

	password_of(auth, hour, hex);
	*out_expires_ms = (hour + TOKEN_HOURS + 1) * HOUR_MS;
	return memory_format("%lld.%s", (long long)hour, hex);
}

/* "<hour>.<hmac>" of an hour that is not over for long. */
static bool password_is_valid(const struct auth *auth, struct str password)
{
	int64_t hour, now = clock_now(auth->cloud->clock) / HOUR_MS;
	struct str rest = password, given = str_cut(&rest, '.');
	char expected[DIGEST_HEX_SIZE];

	if (!str_to_int(given, &hour) || hour > now || hour < now - TOKEN_HOURS ||
		rest.size != DIGEST_HEX_SIZE - 1)
		return false;
	password_of(auth, hour, expected);
	return bytes_equal_constant_time(rest.data, expected, DIGEST_HEX_SIZE - 1);
}

bool auth_registry_check(struct auth *auth, const char *value)
{
	scoped(buf_free) struct buf plain = {0};

	if (value && strncasecmp(value, "Bearer ", 7) == 0)
		return password_is_valid(auth, str_trim(str_of(value + 7)));
	if (!value || strncasecmp(value, "Basic ", 6) != 0 ||
		!base64_decode(str_trim(str_of(value + 6)), &plain))
		return false;
	struct str password = buf_str(&plain), user = str_cut(&password, ':');

	return str_equal_text(user, "AWS") && password_is_valid(auth, password);
}

static void seal_of(const struct auth *auth, const char *path, int64_t expires_s,
	char out[DIGEST_HEX_SIZE])
{
	scoped(text_free) char *text = memory_format("link %lld %s", (long long)expires_s, path);
	struct digest mac = hmac_sha256(auth->secret, strlen(auth->secret), text, strlen(text));

	digest_to_hex(&mac, out);
}

char *auth_link(struct auth *auth, const char *path)
{
	int64_t expires_s = (clock_now(auth->cloud->clock) + HOUR_MS) / 1000;
	char seal[DIGEST_HEX_SIZE];

	seal_of(auth, path, expires_s, seal);
	return memory_format("expires=%lld&seal=%s", (long long)expires_s, seal);
}

bool auth_link_check(struct auth *auth, const char *path, const char *expires, const char *seal)
{
	char expected[DIGEST_HEX_SIZE];
	int64_t expires_s;

	if (!expires || !seal || !str_to_int(str_of(expires), &expires_s) ||
		expires_s < clock_now(auth->cloud->clock) / 1000 ||
		strlen(seal) != DIGEST_HEX_SIZE - 1)
		return false;
	seal_of(auth, path, expires_s, expected);
	return bytes_equal_constant_time(seal, expected, DIGEST_HEX_SIZE - 1);
}
