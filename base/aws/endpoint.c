#include "base/aws/client.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>

const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

bool client_setting(struct aws *aws, const char *key, const char **out_value, struct error *err)
{
	if (!aws->profiles) {
		if (!profiles_load(&aws->profiles, err))
			return false;
		if (aws->profile_is_named && !profiles_have(aws->profiles, aws->profile))
			return error_raise(err, ERROR_USAGE,
				"the AWS profile \"%s\" is in neither ~/.aws/config nor "
				"~/.aws/credentials",
				aws->profile);
	}
	*out_value = profiles_get(aws->profiles, aws->profile, key);
	return true;
}

static bool is_region(const char *text)
{
	return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

/* The instance's availability zone without its letter. */
static bool region_of_instance(struct aws *aws, char **out_region)
{
	struct error err = {0};
	char *zone = NULL;

	if (!instance_metadata(aws, "/latest/meta-data/placement/availability-zone", &zone, &err)) {
		error_ignore(&err, "outside of EC2 there is no such service");
		return false;
	}
	size_t size = strlen(zone);

	if (size && isalpha((unsigned char)zone[size - 1]))
		zone[size - 1] = '\0';
	*out_region = zone;
	return true;
}

bool region_find(struct aws *aws, const char *given, struct error *err)
{
	const char *region = given;

	if (!region)
		region = environment("AWS_REGION");
	if (!region)
		region = environment("AWS_DEFAULT_REGION");
	if (!region && !client_setting(aws, "region", &region, err))
		return false;
	if (region)
		aws->region = memory_copy_text(region);
	else if (!region_of_instance(aws, &aws->region)) {
		error_raise(err, ERROR_USAGE, "no AWS region is known");
		return error_next(err, "set AWS_REGION, or region in the profile");
	}
	if (!is_region(aws->region))
		return error_raise(err, ERROR_USAGE, "\"%s\" is no name of an AWS region",
			aws->region);
	return true;
}

/* "services = x" in the profile leads to [services x], where each service has its block. */
static bool setting_of_service(struct aws *aws, const struct aws_service *service,
	const char **out_url, struct error *err)
{
	const char *services = NULL;
	char key[96];

	if (!client_setting(aws, "services", &services, err))
		return false;
	snprintf(key, sizeof(key), "%s.endpoint_url", service->id);
	for (char *at = key; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	*out_url = services ? profiles_get_service(aws->profiles, services, key) : NULL;
	return *out_url || client_setting(aws, "endpoint_url", out_url, err);
}

static bool configured_endpoint(struct aws *aws, const struct aws_service *service,
	const char **out_url, struct error *err)
{
	const char *ignore = environment("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	char variable[96];

	*out_url = aws->endpoint;
	if (*out_url || text_equal(ignore, "true"))
		return true;
	snprintf(variable, sizeof(variable), "AWS_ENDPOINT_URL_%s", service->id);
	*out_url = environment(variable);
	if (!*out_url)
		*out_url = environment("AWS_ENDPOINT_URL");
	return *out_url || setting_of_service(aws, service, out_url, err);
}

bool endpoint_find(struct aws *aws, const struct aws_service *service, char **out_url,
	struct error *err)
{
	const char *url = NULL;
	struct http_url parts;

	if (!configured_endpoint(aws, service, &url, err))
		return false;
	if (!url) {
		*out_url = memory_format("https://%s.%s.amazonaws.com%s/", service->host,
			aws->region, text_starts_with(aws->region, "cn-") ? ".cn" : "");
		return true;
	}
	if (!http_url_parse(url, &parts, err))
		return error_while(err, "reading the endpoint URL for %s", service->name);
	*out_url = parts.path.size ? memory_copy_text(url) : memory_format("%s/", url);
	return true;
}
