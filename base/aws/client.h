/*
 * client.h - the inside of a struct aws, for the files of this folder.
 *
 *     call.c         one call: credentials, sign, send, judge, repeat
 *     credentials.c  where the keys come from, in which order
 *     endpoint.c     region and URL
 *     failure.c, query.c, retry.c, services.c, profile.c: see their headers
 */
#ifndef BASE_AWS_CLIENT_H
#define BASE_AWS_CLIENT_H

#include "base/aws.h"
#include "base/aws/profile.h"
#include "base/aws/retry.h"
#include "base/aws/services.h"
#include "base/sigv4.h"

struct aws {
	struct http_client *http;  /* owned; NULL until the first request */
	struct profiles *profiles; /* owned; NULL until the first setting is asked for */
	char *region;              /* owned */
	char *profile;             /* owned; its name */
	bool profile_is_explicit;  /* given by option: the environment's keys do not count */
	bool profile_is_named;     /* by option or AWS_PROFILE: it must exist */
	char *endpoint;            /* owned; the option's, NULL: none */
	struct clock *clock;       /* borrowed */
	struct aws_credentials credentials;
	int64_t skew_ms; /* server's clock minus ours; 0 until a server complained */
	struct retry_bucket bucket;
	int max_attempts;
};

bool client_http(struct aws *aws, struct http_client **out_http, struct error *err) must_use;
/* A setting of the client's profile; *out_value is borrowed, NULL when it is not set. */
bool client_setting(struct aws *aws, const char *key, const char **out_value, struct error *err)
	must_use;

/* Makes aws->credentials good for at least ten more minutes. */
bool credentials_refresh(struct aws *aws, struct error *err) must_use;
/* {"AccessKeyId","SecretAccessKey","Token" or "SessionToken","Expiration"} */
bool credentials_of_json(const struct json *json, const char *source,
	struct aws_credentials *out_credentials, struct error *err) must_use;
/* AWS_CONTAINER_CREDENTIALS_*_URI (ECS, EKS pod identity). */
bool credentials_of_container(struct aws *aws, struct aws_credentials *out_credentials,
	struct error *err) must_use;
/* The instance's role by IMDSv2. ERROR_NOT_FOUND when there is no such service or role. */
bool credentials_of_instance(struct aws *aws, struct aws_credentials *out_credentials,
	struct error *err) must_use;
/* STS: the profile's role_arn with its source, and web identity. */
bool credentials_of_role(struct aws *aws, const char *profile,
	struct aws_credentials *out_credentials, struct error *err) must_use;
bool credentials_of_web_identity(struct aws *aws, const char *role_arn, const char *token_file,
	const char *session_name, struct aws_credentials *out_credentials, struct error *err)
	must_use;
bool credentials_of_environment(struct aws_credentials *out_credentials, struct error *err)
	must_use;
/* The keys written in the profile; false without an error when it has none. */
bool credentials_of_profile(struct aws *aws, const char *profile,
	struct aws_credentials *out_credentials);

/* GET below the instance metadata service, with a session token; *out_text is owned. */
bool instance_metadata(struct aws *aws, const char *path, char **out_text, struct error *err)
	must_use;

/* Finds aws->region. ERROR_USAGE when there is none. */
bool region_find(struct aws *aws, const char *given, struct error *err) must_use;
/* Where a service listens; owned. */
bool endpoint_find(struct aws *aws, const struct aws_service *service, char **out_url,
	struct error *err) must_use;

/* One call with these credentials; NULL: unsigned. As aws_call() otherwise. */
bool client_call(struct aws *aws, const struct aws_service *service, const char *operation,
	const struct json *input, const struct aws_credentials *credentials,
	struct json **out_output, struct aws_failure *out_failure, struct error *err) must_use;

/* An environment variable that is set and not empty, else NULL. */
const char *environment(const char *name);

#endif
