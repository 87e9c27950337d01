#include "tests/test.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/sigv4.h"

/* The published vectors lie beside the checkout; they are not ours to copy. */
static const char vectors[] = DOGSHORE_SOURCE "/../shared/sigv4-vectors/v4";

struct vector {
	struct json *options;
	struct buf request; /* request.txt */
	struct aws_credentials credentials;
	struct sigv4_scope scope;
	bool normalise, sign_body, token_unsigned;
	/* The request in pieces that borrow from `request` and the texts below. */
	struct str method, path, query, body;
	struct sigv4_header headers[32];
	size_t header_count;
	char time[TIME_TEXT_SIZE];
	char payload[DIGEST_HEX_SIZE];
};

static void vector_free(struct vector *vector)
{
	json_free(&vector->options);
	buf_free(&vector->request);
	aws_credentials_free(&vector->credentials);
}

static void read_text(const char *folder, const char *name, struct buf *out)
{
	scoped(text_free) char *path = path_join(folder, name);
	struct error err = {0};

	CHECK_OK(file_read(path, 1 << 20, out, &err));
	error_free(&err);
}

static void add_header(struct vector *vector, const char *name, struct str value)
{
	vector->headers[vector->header_count++] = (struct sigv4_header){str_of(name), value};
}

/* A line that begins with white space continues the header before it. */
static void cut_header(struct vector *vector, struct str line)
{
	struct str value = line;

	if (line.data[0] == ' ' || line.data[0] == '\t') {
		struct sigv4_header *last = &vector->headers[vector->header_count - 1];

		last->value.size = (size_t)(line.data + line.size - last->value.data);
		return;
	}
	struct str name = str_cut(&value, ':');

	vector->headers[vector->header_count++] = (struct sigv4_header){name, value};
}

static void cut_request(struct vector *vector)
{
	struct str rest = buf_str(&vector->request), line = str_cut(&rest, '\n');
	const char *end = line.data + line.size;

	/* The target may hold spaces: it ends before the last one. */
	vector->method = str_cut(&line, ' ');
	while (end[-1] != ' ')
		end--;
	vector->query = (struct str){line.data, (size_t)(end - 1 - line.data)};
	vector->path = str_cut(&vector->query, '?');
	while (rest.data) {
		line = str_cut(&rest, '\n');
		if (line.size == 0)
			break;
		cut_header(vector, line);
	}
	vector->body = rest;
}

static void load(struct vector *vector, const char *folder)
{
	scoped(text_free) char *path = path_join(folder, "context.json");
	struct error err = {0};

	CHECK_OK(json_read_file(path, 0, &vector->options, &err));
	error_free(&err);
	read_text(folder, "request.txt", &vector->request);

	const struct json *keys = json_get(vector->options, "credentials");
	const char *token = json_get_text(keys, "token", NULL);

	vector->credentials = (struct aws_credentials){
		.access_key_id = memory_copy_text(json_get_text(keys, "access_key_id", "")),
		.secret_access_key = memory_copy_text(json_get_text(keys, "secret_access_key", "")),
		.session_token = memory_copy_text(token),
	};
	vector->scope.region = json_str(json_get(vector->options, "region"));
	vector->scope.service = json_str(json_get(vector->options, "service"));
	CHECK(time_of_rfc3339(json_str(json_get(vector->options, "timestamp")),
		&vector->scope.time_ms));
	vector->normalise = json_get_bool(vector->options, "normalize", true);
	vector->sign_body = json_get_bool(vector->options, "sign_body", false);
	vector->token_unsigned = json_get_bool(vector->options, "omit_session_token", false);
	time_to_basic(vector->scope.time_ms, vector->time);
	cut_request(vector);

	struct digest digest = digest_of_str(vector->body);

	digest_to_hex(&digest, vector->payload);
}

static struct sigv4_request request_of(const struct vector *vector)
{
	return (struct sigv4_request){
		.method = vector->method,
		.path = vector->path,
		.query = vector->query,
		.headers = vector->headers,
		.header_count = vector->header_count,
		.payload_sha256 = str_of(vector->payload),
		.normalise_path = vector->normalise,
		.escape_path_twice = true,
	};
}

static void check_file(const char *folder, const char *mode, const char *file, struct str got)
{
	scoped(text_free) char *name = memory_format("%s-%s.txt", mode, file);
	scoped(buf_free) struct buf expected = {0};

	read_text(folder, name, &expected);
	if (!str_equal(str_trim(buf_str(&expected)), str_trim(got)))
		TEST_FAIL("%s/%s: got \"%.*s\", expected \"%s\"", path_base(folder), name,
			str_args(got), buf_text(&expected));
}

static void check_signing(const struct vector *vector, const struct sigv4_request *request,
	const char *folder, const char *mode)
{
	scoped(buf_free) struct buf canonical = {0}, to_sign = {0};
	char signature[DIGEST_HEX_SIZE];

	sigv4_canonical_request(request, &canonical);
	check_file(folder, mode, "canonical-request", buf_str(&canonical));
	sigv4_string_to_sign(buf_str(&canonical), &vector->scope, &to_sign);
	check_file(folder, mode, "string-to-sign", buf_str(&to_sign));
	sigv4_signature(str_of(vector->credentials.secret_access_key), &vector->scope,
		buf_str(&to_sign), signature);
	check_file(folder, mode, "signature", str_of(signature));
}

static void check_header_mode(const char *folder)
{
	scoped(vector_free) struct vector vector = {0};
	scoped(buf_free) struct buf authorization = {0}, signed_request = {0};

	load(&vector, folder);
	add_header(&vector, "X-Amz-Date", str_of(vector.time));
	if (vector.sign_body)
		add_header(&vector, "x-amz-content-sha256", str_of(vector.payload));
	if (vector.credentials.session_token && !vector.token_unsigned)
		add_header(&vector, "X-Amz-Security-Token",
			str_of(vector.credentials.session_token));

	struct sigv4_request request = request_of(&vector);

	check_signing(&vector, &request, folder, "header");
	sigv4_authorization(&request, &vector.scope, &vector.credentials, &authorization);
	read_text(folder, "header-signed-request.txt", &signed_request);
	CHECK_CONTAINS(buf_text(&signed_request), buf_text(&authorization));
}

static void append_parameter(struct buf *query, const char *name, const char *value)
{
	buf_printf(query, "%s%s=", query->size ? "&" : "", name);
	percent_append(query, str_of(value), false);
}

static void check_query_mode(const char *folder)
{
	scoped(vector_free) struct vector vector = {0};
	scoped(buf_free) struct buf query = {0}, credential = {0}, names = {0};

	load(&vector, folder);

	struct sigv4_request request = request_of(&vector);

	buf_printf(&credential, "%s/%.8s/%.*s/%.*s/aws4_request", vector.credentials.access_key_id,
		vector.time, str_args(vector.scope.region), str_args(vector.scope.service));
	/* The names of the signed headers are the last line but one of the canonical request. */
	sigv4_canonical_request(&request, &names);
	while (names.data[names.size - 1] != '\n')
		names.size--;
	names.data[--names.size] = '\0';
	buf_append_str(&query, request.query);
	append_parameter(&query, "X-Amz-Algorithm", "AWS4-HMAC-SHA256");
	append_parameter(&query, "X-Amz-Credential", buf_text(&credential));
	append_parameter(&query, "X-Amz-Date", vector.time);
	append_parameter(&query, "X-Amz-SignedHeaders", strrchr(names.data, '\n') + 1);
	scoped(text_free) char *seconds = memory_format("%lld",
		(long long)json_get_int(vector.options, "expiration_in_seconds", 0));

	append_parameter(&query, "X-Amz-Expires", seconds);
	if (vector.credentials.session_token && !vector.token_unsigned)
		append_parameter(&query, "X-Amz-Security-Token", vector.credentials.session_token);
	request.query = buf_str(&query);
	check_signing(&vector, &request, folder, "query");
}

static int each_vector(void (*check)(const char *folder))
{
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};

	if (!folder_list(vectors, &names, &err)) {
		error_ignore(&err, "the caller says that it skips");
		return 0;
	}
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *folder = path_join(vectors, names.items[i]);

		check(folder);
	}
	return (int)names.count;
}

TEST(published_vectors_signed_by_header)
{
	if (!file_is_folder(vectors))
		SKIP("../shared/sigv4-vectors is not there");
	CHECK_INT(each_vector(check_header_mode), 38);
}

TEST(published_vectors_signed_by_query)
{
	if (!file_is_folder(vectors))
		SKIP("../shared/sigv4-vectors is not there");
	CHECK_INT(each_vector(check_query_mode), 38);
}

#define SCOPE "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
#define HEX64 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

/* The example of "Signing AWS API requests"; no vectors are needed for it. */
TEST(a_plain_request_is_signed)
{
	struct sigv4_header headers[] = {
		{str_literal("Host"), str_literal("example.amazonaws.com")},
		{str_literal("X-Amz-Date"), str_literal("20150830T123600Z")},
	};
	struct digest empty = digest_of("", 0);
	char payload[DIGEST_HEX_SIZE], key[] = "AKIDEXAMPLE",
				       secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
	struct aws_credentials credentials = {.access_key_id = key, .secret_access_key = secret};
	struct sigv4_scope scope = {.region = str_literal("us-east-1"),
		.service = str_literal("service")};
	scoped(buf_free) struct buf out = {0};

	digest_to_hex(&empty, payload);
	REQUIRE(time_of_basic(str_of("20150830T123600Z"), &scope.time_ms));
	sigv4_authorization(&(struct sigv4_request){.method = str_literal("GET"),
				    .path = str_literal("/"),
				    .headers = headers,
				    .header_count = 2,
				    .payload_sha256 = str_of(payload),
				    .normalise_path = true,
				    .escape_path_twice = true},
		&scope, &credentials, &out);
	CHECK_TEXT(buf_text(&out),
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=host;x-amz-date, Signature=" HEX64);
}

TEST(a_received_header_is_cut_into_pieces)
{
	struct sigv4_received got = {0};
	struct error err = {0};

	REQUIRE_OK(sigv4_authorization_parse(str_of("AWS4-HMAC-SHA256 " SCOPE
						    ",SignedHeaders=host;x-amz-date,  "
						    "Signature=" HEX64),
		&got, &err));
	CHECK(str_equal_text(got.access_key_id, "AKIDEXAMPLE"));
	CHECK(str_equal_text(got.date, "20150830"));
	CHECK(str_equal_text(got.region, "us-east-1"));
	CHECK(str_equal_text(got.service, "service"));
	CHECK(str_equal_text(got.signed_headers, "host;x-amz-date"));
	CHECK(str_equal_text(got.signature, HEX64));
}

TEST(a_malformed_header_is_refused)
{
	static const char *const rows[] = {
		"",
		"Basic QVdTOnNlY3JldA==",
		"AWS4-HMAC-SHA256",
		"AWS4-HMAC-SHA256 " SCOPE,
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=host",
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=, Signature=" HEX64,
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=Host, Signature=" HEX64,
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=host, Signature=" HEX64 "0",
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=host, Signature=" HEX64
		", Signature=" HEX64,
		"AWS4-HMAC-SHA256 " SCOPE ", " SCOPE ", SignedHeaders=host, Signature=" HEX64,
		"AWS4-HMAC-SHA256 " SCOPE "/x, SignedHeaders=host, Signature=" HEX64,
		"AWS4-HMAC-SHA256 Credential=AKID/2015083/us-east-1/s/aws4_request, "
		"SignedHeaders=host, Signature=" HEX64,
		"AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=" HEX64,
		"AWS4-HMAC-SHA256 " SCOPE ", SignedHeaders=host, Signature=" HEX64 ", X=1",
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct sigv4_received got = {0};
		struct error err = {0};

		CHECK_FAILS(sigv4_authorization_parse(str_of(rows[i]), &got, &err), ERROR_INVALID);
	}
}

TEST_MAIN()
