#include "builders/registry/ecr.h"

#include "base/aws.h"
#include "base/http_client.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/stat.h>

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

static void add_file(struct buf *out, const char *variable, const char *usual)
{
	const char *path = getenv(variable), *home = getenv("HOME");
	scoped(text_free) char *owned = memory_format("%s/%s", home ? home : "", usual);
	struct stat status;

	if (stat(path && *path ? path : owned, &status) == 0)
		buf_printf(out, "%s %lld %lld.%09ld\n", variable, (long long)status.st_size,
			(long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

char *ecr_identity(void)
{
	static const char *const variables[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR"};
	struct buf out = {0};

	for (size_t i = 0; i < countof(variables); i++) {
		const char *value = getenv(variables[i]);

		if (value)
			buf_printf(&out, "%s=%s\n", variables[i], value);
	}
	add_file(&out, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
	add_file(&out, "AWS_CONFIG_FILE", ".aws/config");
	return out.size ? buf_take(&out) : memory_copy_text("");
}

bool ecr_token(const char *host, struct buf *out_pair, int64_t *out_expires_ms, struct error *err)
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
	double expires = json_real(json_get(first, "expiresAt"), 0);
	*out_expires_ms = expires > 0 && expires < 1e11 ? (int64_t)(expires * 1000) : 0;
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
