/* Credentials that a service beside us hands out: the container's and the instance's. */
#include "base/aws/client.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>

enum {
	CONTAINER_TIMEOUT_MS = 2000,
	CONTAINER_TRIES = 3,
	INSTANCE_TIMEOUT_MS = 1000,
};

static bool get(struct aws *aws, const struct http_request *request, struct buf *out_body,
	struct error *err)
{
	scoped(http_response_free) struct http_response response = {0};
	struct http_client *http = NULL;

	if (!client_http(aws, &http, err) || !http_perform(http, request, &response, err))
		return false;
	if (response.status != 200)
		return error_raise(err, error_kind_of_http(response.status),
			"%s answered %d, expected 200", request->url, response.status);
	buf_append_str(out_body, buf_str(&response.body));
	return true;
}

/* Over plain HTTP keys may only cross the machine's own wires. */
static bool may_be_plain(struct str host)
{
	static const char *const known[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};

	for (size_t i = 0; i < countof(known); i++)
		if (str_equal_text(host, known[i]))
			return true;
	return http_host_is_loopback(host);
}

static bool container_url(char **out_url, struct error *err)
{
	const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	struct http_url parts;

	if (relative) {
		*out_url = memory_format("http://169.254.170.2%s", relative);
		return true;
	}
	if (!http_url_parse(full, &parts, err))
		return error_while(err, "reading AWS_CONTAINER_CREDENTIALS_FULL_URI");
	if (str_equal_ignoring_case(parts.scheme, str_literal("http")) && !may_be_plain(parts.host))
		return error_raise(err, ERROR_DENIED,
			"AWS_CONTAINER_CREDENTIALS_FULL_URI leads to \"%.*s\" over plain HTTP",
			str_args(parts.host));
	*out_url = memory_copy_text(full);
	return true;
}

/* The token for the container's endpoint; empty when it wants none. */
static bool container_token(struct buf *out, struct error *err)
{
	const char *file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");

	if (file && !file_read(file, 64 * 1024, out, err))
		return error_while(err, "reading the container's authorization token");
	if (!file && token)
		buf_append_text(out, token);
	while (out->size && strchr("\r\n", out->data[out->size - 1]))
		out->data[--out->size] = '\0';
	if (out->size && strpbrk(buf_text(out), "\r\n"))
		return error_raise(err, ERROR_INVALID,
			"the container's authorization token has a line break inside");
	return true;
}

static bool get_container(struct aws *aws, const char *url, const struct http_header *header,
	size_t header_count, struct buf *out_body, struct error *err)
{
	struct http_request request = {
		.url = url,
		.headers = header,
		.header_count = header_count,
		.connect_timeout_ms = CONTAINER_TIMEOUT_MS,
		.timeout_ms = CONTAINER_TIMEOUT_MS,
		.body_limit_bytes = 64 * 1024,
	};
	struct error why = {0};

	for (int i = 0; i < CONTAINER_TRIES; i++) {
		error_free(&why);
		if (get(aws, &request, out_body, &why))
			return true;
	}
	error_move(err, &why);
	return false;
}

bool credentials_of_container(struct aws *aws, struct aws_credentials *out_credentials,
	struct error *err)
{
	scoped(text_free) char *url = NULL;
	scoped(buf_free) struct buf token = {0}, body = {0};
	scoped(json_free) struct json *json = NULL;
	struct http_header header;

	if (!container_url(&url, err) || !container_token(&token, err))
		return false;
	header = (struct http_header){"Authorization", buf_text(&token)};
	if (!get_container(aws, url, &header, token.size > 0, &body, err))
		return error_while(err, "asking for the container's credentials");
	return json_parse(buf_str(&body), "container credentials", NULL, &json, err) &&
	       credentials_of_json(json, "container", out_credentials, err);
}

static const char *instance_endpoint(void)
{
	const char *given = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (given)
		return given;
	return mode && str_equal_ignoring_case(str_of(mode), str_literal("IPv6"))
		       ? "http://[fd00:ec2::254]"
		       : "http://169.254.169.254";
}

static bool instance_request(struct aws *aws, const char *method, const char *path,
	const struct http_header *header, char **out_text, struct error *err)
{
	const char *endpoint = instance_endpoint();
	bool has_slash = text_ends_with(endpoint, "/");
	scoped(text_free) char *url = memory_format("%s%s", endpoint, path + has_slash);
	scoped(buf_free) struct buf body = {0};

	if (!get(aws,
		    &(struct http_request){.method = method,
			    .url = url,
			    .headers = header,
			    .header_count = 1,
			    .connect_timeout_ms = INSTANCE_TIMEOUT_MS,
			    .timeout_ms = INSTANCE_TIMEOUT_MS,
			    .body_limit_bytes = 64 * 1024},
		    &body, err))
		return error_while(err, "asking the instance metadata service");
	*out_text = str_copy(str_trim(buf_str(&body)));
	return true;
}

bool instance_metadata(struct aws *aws, const char *path, char **out_text, struct error *err)
{
	const char *disabled = environment("AWS_EC2_METADATA_DISABLED");
	struct http_header ttl = {"x-aws-ec2-metadata-token-ttl-seconds", "21600"};
	scoped(text_free) char *token = NULL;

	if (disabled && str_equal_ignoring_case(str_of(disabled), str_literal("true")))
		return error_raise(err, ERROR_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is true");
	if (!instance_request(aws, "PUT", "/latest/api/token", &ttl, &token, err))
		return false;
	return instance_request(aws, "GET", path,
		&(struct http_header){"x-aws-ec2-metadata-token", token}, out_text, err);
}

bool credentials_of_instance(struct aws *aws, struct aws_credentials *out_credentials,
	struct error *err)
{
	static const char roles[] = "/latest/meta-data/iam/security-credentials/";
	scoped(text_free) char *role = NULL, *text = NULL, *path = NULL;
	scoped(json_free) struct json *json = NULL;

	if (!instance_metadata(aws, roles, &role, err))
		return false;
	role[strcspn(role, "\r\n")] = '\0';
	path = memory_format("%s%s", roles, role);
	return instance_metadata(aws, path, &text, err) &&
	       json_parse(str_of(text), "instance credentials", NULL, &json, err) &&
	       credentials_of_json(json, "instance", out_credentials, err);
}
