/* Credentials that STS hands out for others: AssumeRole and AssumeRoleWithWebIdentity. */
#include "base/aws/client.h"
#include "base/file.h"
#include "base/memory.h"

enum { CHAIN_LIMIT = 10 };

static char *session_name(struct aws *aws, const char *given)
{
	if (given)
		return memory_copy_text(given);
	return memory_format("dogshore-%lld", (long long)(clock_now(aws->clock) / 1000));
}

static bool ask_sts(struct aws *aws, const char *operation, const struct json *input,
	const struct aws_credentials *signer, const char *source, struct aws_credentials *out,
	struct error *err)
{
	scoped(json_free) struct json *output = NULL;

	return client_call(aws, aws_service_find("sts"), operation, input, signer, &output, NULL,
		       err) &&
	       credentials_of_json(json_get(output, "Credentials"), source, out, err);
}

bool credentials_of_web_identity(struct aws *aws, const char *role_arn, const char *token_file,
	const char *given_name, struct aws_credentials *out_credentials, struct error *err)
{
	scoped(buf_free) struct buf token = {0};
	scoped(text_free) char *name = session_name(aws, given_name);

	/* Read each time: whoever issues the tokens replaces the file. */
	if (!file_read(token_file, 64 * 1024, &token, err))
		return error_while(err, "reading the web identity token");
	scoped(json_free) struct json *input = json_object_of("RoleArn", json_text_new(role_arn),
		"RoleSessionName", json_text_new(name), "WebIdentityToken",
		json_str_new(str_trim(buf_str(&token))), NULL);

	if (!ask_sts(aws, "AssumeRoleWithWebIdentity", input, NULL, "web identity", out_credentials,
		    err))
		return error_while(err, "assuming %s with the token of %s", role_arn, token_file);
	return true;
}

/* Profiles on the way from the first one to the one that holds keys. */
struct chain {
	const char *names[CHAIN_LIMIT];
	size_t count;
};

static bool role_of(struct aws *aws, const char *profile, struct chain *chain,
	struct aws_credentials *out, struct error *err);

static bool of_named_source(struct aws *aws, const char *source, struct aws_credentials *out,
	struct error *err)
{
	if (text_equal(source, "Environment")) {
		if (environment("AWS_ACCESS_KEY_ID"))
			return credentials_of_environment(out, err);
		return error_raise(err, ERROR_USAGE,
			"credential_source is Environment, but AWS_ACCESS_KEY_ID is not set");
	}
	if (text_equal(source, "EcsContainer"))
		return credentials_of_container(aws, out, err);
	if (text_equal(source, "Ec2InstanceMetadata"))
		return credentials_of_instance(aws, out, err);
	return error_raise(err, ERROR_USAGE, "credential_source \"%s\" is unknown", source);
}

/* A profile that names itself as its source means its own keys. */
static bool of_source_profile(struct aws *aws, const char *profile, const char *source,
	struct chain *chain, struct aws_credentials *out, struct error *err)
{
	bool is_self = text_equal(source, profile);

	if (!profiles_have(aws->profiles, source))
		return error_raise(err, ERROR_USAGE,
			"the profile \"%s\" names the source_profile \"%s\", which is not there",
			profile, source);
	if (!is_self && profiles_get(aws->profiles, source, "role_arn"))
		return role_of(aws, source, chain, out, err);
	if (credentials_of_profile(aws, source, out))
		return true;
	return error_raise(err, ERROR_USAGE, "the source_profile \"%s\" has no keys", source);
}

static bool source_of(struct aws *aws, const char *profile, struct chain *chain,
	struct aws_credentials *out, struct error *err)
{
	const char *source_profile = profiles_get(aws->profiles, profile, "source_profile");
	const char *source = profiles_get(aws->profiles, profile, "credential_source");

	for (size_t i = 0; i < chain->count; i++)
		if (text_equal(chain->names[i], profile))
			return error_raise(err, ERROR_USAGE,
				"source_profile goes in a circle at the profile \"%s\"", profile);
	if (chain->count == CHAIN_LIMIT)
		return error_raise(err, ERROR_USAGE, "more than %d profiles in a chain",
			CHAIN_LIMIT);
	chain->names[chain->count++] = profile;
	if (!source_profile == !source)
		return error_raise(err, ERROR_USAGE,
			"the profile \"%s\" has a role_arn: it needs exactly one of source_profile "
			"and credential_source",
			profile);
	return source ? of_named_source(aws, source, out, err)
		      : of_source_profile(aws, profile, source_profile, chain, out, err);
}

static struct json *role_input(struct aws *aws, const char *profile)
{
	const char *external_id = profiles_get(aws->profiles, profile, "external_id");
	const char *duration = profiles_get(aws->profiles, profile, "duration_seconds");
	scoped(text_free) char *name =
		session_name(aws, profiles_get(aws->profiles, profile, "role_session_name"));
	struct json *input = json_object_of("RoleArn",
		json_text_new(profiles_get(aws->profiles, profile, "role_arn")), "RoleSessionName",
		json_text_new(name), NULL);

	if (external_id)
		json_set_text(input, "ExternalId", external_id);
	if (duration)
		json_set_text(input, "DurationSeconds", duration);
	return input;
}

static bool role_of(struct aws *aws, const char *profile, struct chain *chain,
	struct aws_credentials *out, struct error *err)
{
	scoped(aws_credentials_free) struct aws_credentials signer = {0};

	if (profiles_get(aws->profiles, profile, "mfa_serial")) {
		error_raise(err, ERROR_USAGE,
			"the profile \"%s\" needs a second factor (mfa_serial), which a program "
			"cannot give",
			profile);
		return error_next(err,
			"use: eval \"$(aws configure export-credentials --profile "
			"%s --format env)\"",
			profile);
	}
	if (!source_of(aws, profile, chain, &signer, err))
		return false;
	scoped(json_free) struct json *input = role_input(aws, profile);

	if (!ask_sts(aws, "AssumeRole", input, &signer, "assumed role", out, err))
		return error_while(err, "assuming the role of the profile \"%s\"", profile);
	return true;
}

bool credentials_of_role(struct aws *aws, const char *profile,
	struct aws_credentials *out_credentials, struct error *err)
{
	struct chain chain = {0};

	return role_of(aws, profile, &chain, out_credentials, err);
}
