#include "builders/registry/ecr.h"

#include "base/aws.h"
#include "base/http_client.h"
#include "base/memory.h"

#include <stdlib.h>

/* "<account>.dkr.ecr.<region>.amazonaws.com[.cn]", with -fips for the validated endpoints. */
bool ecr_region_of(const char *host, char *out_region, size_t room)
{
	static const char *const marks[] = {".dkr.ecr.", ".dkr.ecr-fips."};

	for (size_t i = 0; i < countof(marks); i++) {
		const char *at = strstr(host, marks[i]);
		if (!at)
			continue;
		const char *region = at + strlen(marks[i]);
		size_t size = strcspn(region, ".");
		if (size == 0 || size >= room ||
			!(text_equal(region + size, ".amazonaws.com") ||
				text_equal(region + size, ".amazonaws.com.cn")))
			return false;
		memcpy(out_region, region, size);
		out_region[size] = 0;
		return true;
	}
	return false;
}

/* host[:port] of an endpoint variable equals ours. */
static bool is_endpoint(const char *host, const char *variable)
{
	const char *url = getenv(variable);
	struct http_url parts;
	struct error ignored = {0};

	if (!url || !*url)
		return false;
	if (!http_url_parse(url, &parts, &ignored)) {
		error_ignore(&ignored, "base/aws complains about it when it is used");
		return false;
	}
	scoped(text_free) char *name =
		parts.port.size
			? memory_format("%.*s:%.*s", str_args(parts.host), str_args(parts.port))
			: str_copy(parts.host);
	return text_equal(name, host);
}

bool ecr_is_host(const char *host)
{
	char region[64];

	return ecr_region_of(host, region, sizeof(region)) ||
	       is_endpoint(host, "AWS_ENDPOINT_URL_ECR") || is_endpoint(host, "AWS_ENDPOINT_URL");
}

static bool open_aws(const char *host, struct aws **out_aws, struct error *err)
{
	char region[64];
	bool named = ecr_region_of(host, region, sizeof(region));

	return aws_new(&(struct aws_options){.region = named ? region : NULL}, out_aws, err);
}

bool ecr_token(const char *host, struct buf *out_pair, struct error *err)
{
	scoped(aws_free) struct aws *aws = NULL;
	scoped(json_free) struct json *answer = NULL;

	if (!open_aws(host, &aws, err) ||
		!aws_call(aws, "ecr", "GetAuthorizationToken", NULL, &answer, NULL, err))
		return error_while(err, "asking ECR for a token for %s", host);
	const struct json *first = json_at(json_get(answer, "authorizationData"), 0);
	struct str token = json_str(json_get(first, "authorizationToken"));
	if (token.size == 0)
		return error_raise(err, ERROR_PROTOCOL,
			"ECR's answer for %s holds no authorization token", host);
	buf_append_str(out_pair, token);
	return true;
}

bool ecr_create_repository(const char *host, const char *repository, struct error *err)
{
	scoped(aws_free) struct aws *aws = NULL;
	scoped(json_free) struct json *input =
		json_object_of("repositoryName", json_text_new(repository), NULL);
	struct aws_failure failure = {0};

	if (!open_aws(host, &aws, err))
		return false;
	if (aws_call(aws, "ecr", "CreateRepository", input, NULL, &failure, err))
		return true;
	if (failure.known && text_equal(failure.code, "RepositoryAlreadyExistsException")) {
		error_ignore(err, "somebody else made it just now");
		return true;
	}
	return error_while(err, "creating the repository %s on %s", repository, host);
}
