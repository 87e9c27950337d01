#include "base/aws/client.h"
#include "base/memory.h"

enum {
	REFRESH_EARLY_MS = 15 * 60 * 1000,  /* try from here on */
	REFRESH_LATEST_MS = 10 * 60 * 1000, /* must from here on */
};

bool credentials_of_json(const struct json *json, const char *source,
	struct aws_credentials *out_credentials, struct error *err)
{
	const char *id = json_get_text(json, "AccessKeyId", NULL);
	const char *secret = json_get_text(json, "SecretAccessKey", NULL);
	const char *token = json_get_text(json, "Token", json_get_text(json, "SessionToken", NULL));
	struct str expires = json_str(json_get(json, "Expiration"));
	int64_t expires_ms = 0;

	if (!id || !secret)
		return error_raise(err, ERROR_PROTOCOL,
			"the credentials of %s lack AccessKeyId or SecretAccessKey", source);
	if (expires.size && !time_of_rfc3339(expires, &expires_ms))
		return error_raise(err, ERROR_PROTOCOL,
			"the credentials of %s expire at \"%.*s\", which is no time", source,
			str_args(expires));
	*out_credentials = (struct aws_credentials){
		.access_key_id = memory_copy_text(id),
		.secret_access_key = memory_copy_text(secret),
		.session_token = memory_copy_text(token),
		.expires_ms = expires_ms,
		.source = source,
	};
	return true;
}

bool credentials_of_environment(struct aws_credentials *out_credentials, struct error *err)
{
	const char *secret = environment("AWS_SECRET_ACCESS_KEY");

	if (!secret)
		return error_raise(err, ERROR_USAGE,
			"AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
	*out_credentials = (struct aws_credentials){
		.access_key_id = memory_copy_text(environment("AWS_ACCESS_KEY_ID")),
		.secret_access_key = memory_copy_text(secret),
		.session_token = memory_copy_text(environment("AWS_SESSION_TOKEN")),
		.source = "environment",
	};
	return true;
}

bool credentials_of_profile(struct aws *aws, const char *profile,
	struct aws_credentials *out_credentials)
{
	const char *id = profiles_get(aws->profiles, profile, "aws_access_key_id");
	const char *secret = profiles_get(aws->profiles, profile, "aws_secret_access_key");

	if (!id || !secret)
		return false;
	*out_credentials = (struct aws_credentials){
		.access_key_id = memory_copy_text(id),
		.secret_access_key = memory_copy_text(secret),
		.session_token =
			memory_copy_text(profiles_get(aws->profiles, profile, "aws_session_token")),
		.source = "profile",
	};
	return true;
}

static bool raise_none(struct aws *aws, struct error *err)
{
	static const char *const unsupported[] = {"credential_process", "sso_session",
		"sso_start_url", "login_session"};

	error_raise(err, ERROR_DENIED,
		"no AWS credentials: none in the environment, the profile \"%s\", a web identity, "
		"a container's or an instance's role",
		aws->profile);
	for (size_t i = 0; i < countof(unsupported); i++)
		if (profiles_get(aws->profiles, aws->profile, unsupported[i]))
			return error_next(err,
				"the profile has %s, which we do not follow; use: "
				"eval \"$(aws configure export-credentials --profile %s "
				"--format env)\"",
				unsupported[i], aws->profile);
	return error_next(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
}

static bool of_instance(struct aws *aws, struct aws_credentials *out, struct error *err)
{
	struct error why = {0};

	if (credentials_of_instance(aws, out, &why))
		return true;
	if (why.kind == ERROR_NOT_FOUND || why.kind == ERROR_UNAVAILABLE ||
		why.kind == ERROR_TIMED_OUT) {
		error_ignore(&why, "we are not on an instance, or it has no role");
		return raise_none(aws, err);
	}
	error_move(err, &why);
	return false;
}

/* The order of our reference on deploying, section 10 (botocore's). */
static bool resolve(struct aws *aws, struct aws_credentials *out, struct error *err)
{
	const char *role = NULL, *token_file = environment("AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *profile_token_file = NULL;

	if (!aws->profile_is_explicit && environment("AWS_ACCESS_KEY_ID"))
		return credentials_of_environment(out, err);
	if (!client_setting(aws, "role_arn", &role, err) ||
		!client_setting(aws, "web_identity_token_file", &profile_token_file, err))
		return false;
	if (role && !profile_token_file)
		return credentials_of_role(aws, aws->profile, out, err);
	if (token_file && environment("AWS_ROLE_ARN"))
		return credentials_of_web_identity(aws, environment("AWS_ROLE_ARN"), token_file,
			environment("AWS_ROLE_SESSION_NAME"), out, err);
	if (role)
		return credentials_of_web_identity(aws, role, profile_token_file,
			profiles_get(aws->profiles, aws->profile, "role_session_name"), out, err);
	if (credentials_of_profile(aws, aws->profile, out))
		return true;
	if (environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
		environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
		return credentials_of_container(aws, out, err);
	return of_instance(aws, out, err);
}

bool credentials_refresh(struct aws *aws, struct error *err)
{
	struct aws_credentials fresh = {0};
	struct error why = {0};
	int64_t left = aws->credentials.expires_ms - clock_now(aws->clock);
	bool have = aws->credentials.access_key_id != NULL;

	if (have && (aws->credentials.expires_ms == 0 || left > REFRESH_EARLY_MS))
		return true;
	if (resolve(aws, &fresh, &why)) {
		aws_credentials_free(&aws->credentials);
		aws->credentials = fresh;
		return true;
	}
	if (have && left > REFRESH_LATEST_MS) {
		error_ignore(&why, "those we have are good for a while; the next call tries again");
		return true;
	}
	error_move(err, &why);
	return error_while(err, "looking for AWS credentials");
}
