#include "base/sigv4.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

static const char algorithm[] = "AWS4-HMAC-SHA256";

void aws_credentials_free(struct aws_credentials *credentials)
{
	char *secrets[] = {credentials->secret_access_key, credentials->session_token};

	for (size_t i = 0; i < countof(secrets); i++)
		if (secrets[i])
			explicit_bzero(secrets[i], strlen(secrets[i]));
	free(credentials->access_key_id);
	free(credentials->secret_access_key);
	free(credentials->session_token);
	*credentials = (struct aws_credentials){0};
}

/* Drops the last part of an absolute path: "/a/b" becomes "/a", "/a" becomes "". */
static void drop_last_part(struct buf *path)
{
	while (path->size && path->data[path->size - 1] != '/')
		path->size--;
	if (path->size)
		path->size--;
}

/* RFC 3986, 5.2.4, and empty parts go too; a final slash stays. */
static void normalise_path(struct str path, struct buf *out)
{
	bool slash = false; /* does the path end with one? */
	struct str part;

	do {
		part = str_cut(&path, '/');
		slash = part.size == 0 || str_equal_text(part, ".") || str_equal_text(part, "..");
		if (str_equal_text(part, "..")) {
			drop_last_part(out);
		} else if (!slash) {
			buf_append_char(out, '/');
			buf_append_str(out, part);
		}
	} while (path.data);
	if (slash || out->size == 0)
		buf_append_char(out, '/');
}

static void append_path(const struct sigv4_request *request, struct buf *out)
{
	scoped(buf_free) struct buf path = {0};

	if (request->normalise_path)
		normalise_path(request->path, &path);
	else
		buf_append_str(&path, request->path.size ? request->path : str_literal("/"));
	if (request->escape_path_twice)
		percent_append(out, buf_str(&path), true);
	else
		buf_append_str(out, buf_str(&path));
}

struct pair {
	char *name, *value; /* owned */
	size_t place;       /* of arrival */
};

struct pairs {
	struct pair *rows;
	size_t count;
};

static void pairs_add(struct pairs *pairs, char *name, char *value)
{
	pairs->rows = memory_resize(pairs->rows, (pairs->count + 1) * sizeof(*pairs->rows));
	pairs->rows[pairs->count] = (struct pair){name, value, pairs->count};
	pairs->count++;
}

static void pairs_free(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->rows[i].name);
		free(pairs->rows[i].value);
	}
	free(pairs->rows);
}

static int by_name_and_value(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->value, y->value);
}

static int by_name_and_place(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* Decoded and encoded again, so that one spelling is left. A stray '%' stands for itself. */
static char *encode_again(struct str text)
{
	struct buf out = {0};
	scoped(buf_free) struct buf plain = {0};

	if (percent_decode(text, false, &plain))
		percent_append(&out, buf_str(&plain), false);
	else
		percent_append(&out, text, false);
	return out.size ? buf_take(&out) : memory_copy_text("");
}

static void append_query(struct str query, struct buf *out)
{
	scoped(pairs_free) struct pairs pairs = {0};

	while (query.data) {
		struct str value = str_cut(&query, '&');
		struct str name = str_cut(&value, '=');

		if (name.size || value.size)
			pairs_add(&pairs, encode_again(name), encode_again(value));
	}
	if (pairs.count)
		qsort(pairs.rows, pairs.count, sizeof(*pairs.rows), by_name_and_value);
	for (size_t i = 0; i < pairs.count; i++)
		buf_printf(out, "%s%s=%s", i ? "&" : "", pairs.rows[i].name, pairs.rows[i].value);
}

static char *lower_case(struct str name)
{
	char *copy = str_copy(name);

	for (char *at = copy; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	return copy;
}

/* Trimmed, and each run of white space (of folded lines, too) is one space. */
static char *single_spaced(struct str value)
{
	struct buf out = {0};

	value = str_trim(value);
	for (size_t i = 0; i < value.size; i++) {
		bool blank = value.data[i] && strchr(" \t\r\n", value.data[i]);

		if (!blank)
			buf_append_char(&out, value.data[i]);
		else if (out.data[out.size - 1] != ' ')
			buf_append_char(&out, ' ');
	}
	return out.size ? buf_take(&out) : memory_copy_text("");
}

static struct pairs sorted_headers(const struct sigv4_request *request)
{
	struct pairs pairs = {0};

	for (size_t i = 0; i < request->header_count; i++)
		pairs_add(&pairs, lower_case(request->headers[i].name),
			single_spaced(request->headers[i].value));
	if (pairs.count)
		qsort(pairs.rows, pairs.count, sizeof(*pairs.rows), by_name_and_place);
	return pairs;
}

static bool is_repeated(const struct pairs *headers, size_t i)
{
	return i > 0 && text_equal(headers->rows[i].name, headers->rows[i - 1].name);
}

/* "name:value\n" each; values of a repeated header are joined by commas. */
static void append_headers(const struct pairs *headers, struct buf *out)
{
	for (size_t i = 0; i < headers->count; i++) {
		if (is_repeated(headers, i))
			buf_printf(out, ",%s", headers->rows[i].value);
		else
			buf_printf(out, "%s%s:%s", i ? "\n" : "", headers->rows[i].name,
				headers->rows[i].value);
	}
	buf_append_char(out, '\n');
}

static void append_names(const struct pairs *headers, struct buf *out)
{
	for (size_t i = 0; i < headers->count; i++)
		if (!is_repeated(headers, i))
			buf_printf(out, "%s%s", i ? ";" : "", headers->rows[i].name);
}

void sigv4_canonical_request(const struct sigv4_request *request, struct buf *out)
{
	scoped(pairs_free) struct pairs headers = sorted_headers(request);

	buf_append_str(out, request->method);
	buf_append_char(out, '\n');
	append_path(request, out);
	buf_append_char(out, '\n');
	append_query(request->query, out);
	buf_append_char(out, '\n');
	append_headers(&headers, out);
	buf_append_char(out, '\n');
	append_names(&headers, out);
	buf_append_char(out, '\n');
	buf_append_str(out, request->payload_sha256);
}

/* "20150830/us-east-1/service/aws4_request" */
static void append_scope(const struct sigv4_scope *scope, const char *time, struct buf *out)
{
	buf_printf(out, "%.8s/%.*s/%.*s/aws4_request", time, str_args(scope->region),
		str_args(scope->service));
}

void sigv4_string_to_sign(struct str canonical_request, const struct sigv4_scope *scope,
	struct buf *out)
{
	struct digest digest = digest_of_str(canonical_request);
	char time[TIME_TEXT_SIZE], hex[DIGEST_HEX_SIZE];

	time_to_basic(scope->time_ms, time);
	digest_to_hex(&digest, hex);
	buf_printf(out, "%s\n%s\n", algorithm, time);
	append_scope(scope, time, out);
	buf_printf(out, "\n%s", hex);
}

static struct digest derive(struct digest key, struct str part)
{
	return hmac_sha256(key.bytes, sizeof(key.bytes), part.data, part.size);
}

void sigv4_signature(struct str secret_access_key, const struct sigv4_scope *scope,
	struct str string_to_sign, char out_hex[65])
{
	scoped(buf_free) struct buf secret = {0};
	char time[TIME_TEXT_SIZE];
	struct digest key;

	time_to_basic(scope->time_ms, time);
	buf_printf(&secret, "AWS4%.*s", str_args(secret_access_key));
	key = hmac_sha256(secret.data, secret.size, time, strlen("20150830"));
	key = derive(key, scope->region);
	key = derive(key, scope->service);
	key = derive(key, str_literal("aws4_request"));
	key = derive(key, string_to_sign);
	digest_to_hex(&key, out_hex);
	explicit_bzero(secret.data, secret.size);
}

void sigv4_authorization(const struct sigv4_request *request, const struct sigv4_scope *scope,
	const struct aws_credentials *credentials, struct buf *out)
{
	scoped(buf_free) struct buf canonical = {0}, to_sign = {0};
	scoped(pairs_free) struct pairs headers = sorted_headers(request);
	char time[TIME_TEXT_SIZE], signature[DIGEST_HEX_SIZE];

	sigv4_canonical_request(request, &canonical);
	sigv4_string_to_sign(buf_str(&canonical), scope, &to_sign);
	sigv4_signature(str_of(credentials->secret_access_key), scope, buf_str(&to_sign),
		signature);
	time_to_basic(scope->time_ms, time);
	buf_printf(out, "%s Credential=%s/", algorithm, credentials->access_key_id);
	append_scope(scope, time, out);
	buf_append_text(out, ", SignedHeaders=");
	append_names(&headers, out);
	buf_printf(out, ", Signature=%s", signature);
}

static bool all_of(struct str text, const char *accepted)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\0' || !strchr(accepted, text.data[i]))
			return false;
	return text.size > 0;
}

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

static bool cut_credential(struct str credential, struct sigv4_received *out)
{
	out->access_key_id = str_cut(&credential, '/');
	out->date = str_cut(&credential, '/');
	out->region = str_cut(&credential, '/');
	out->service = str_cut(&credential, '/');
	return out->access_key_id.size && out->date.size == strlen("20150830") &&
	       all_of(out->date, DIGITS) && all_of(out->region, LOWER DIGITS "-") &&
	       all_of(out->service, LOWER DIGITS "-") && str_equal_text(credential, "aws4_request");
}

static bool take_field(struct str field, struct sigv4_received *out, struct error *err)
{
	struct str value = field, name = str_cut(&value, '=');

	if (str_equal_text(name, "Credential") && !out->access_key_id.data) {
		if (cut_credential(value, out))
			return true;
	} else if (str_equal_text(name, "SignedHeaders") && !out->signed_headers.data) {
		out->signed_headers = value;
		if (all_of(value, LOWER DIGITS "-_.;"))
			return true;
	} else if (str_equal_text(name, "Signature") && !out->signature.data) {
		out->signature = value;
		if (value.size == DIGEST_HEX_SIZE - 1 && all_of(value, DIGITS "abcdef"))
			return true;
	}
	return error_raise(err, ERROR_INVALID,
		"the Authorization header's \"%.*s\" is malformed, unknown or there twice",
		(int)(name.size < 40 ? name.size : 40), name.data ? name.data : "");
}

bool sigv4_authorization_parse(struct str header, struct sigv4_received *out, struct error *err)
{
	struct sigv4_received received = {0};
	struct str rest = str_trim(header), scheme = str_cut(&rest, ' ');

	if (!str_equal_text(scheme, algorithm))
		return error_raise(err, ERROR_INVALID,
			"the Authorization header does not begin with \"%s \"", algorithm);
	while (rest.data) {
		struct str field = str_trim(str_cut(&rest, ','));

		if (!take_field(field, &received, err))
			return false;
	}
	if (!received.access_key_id.data || !received.signed_headers.data ||
		!received.signature.data)
		return error_raise(err, ERROR_INVALID, "the Authorization header lacks %s",
			!received.access_key_id.data    ? "Credential"
			: !received.signed_headers.data ? "SignedHeaders"
							: "Signature");
	*out = received;
	return true;
}
