/*
 * secrets_aws.h - values of parameter-store and secrets-manager variables from AWS.
 *
 * Source  ssm:GetParameters (with decryption, ten names a call), secretsmanager:GetSecretValue.
 */
#ifndef BUILDSPEC_SECRETS_AWS_H
#define BUILDSPEC_SECRETS_AWS_H

#include "base/aws.h"
#include "buildspec/buildspec.h"

/*
 * Fetches all that spec names, in the form of a secrets file (secrets.h). What does not exist is
 * missing in it.
 *
 * given        "NAME=value" of variables that need not be fetched, or NULL
 * out_secrets  the caller's
 *
 * Fails with   what aws_call() gives: ERROR_DENIED (no credentials, or not allowed),
 *              ERROR_UNAVAILABLE (throttled to the end, not reachable); never with a value.
 */
bool secrets_fetch(struct aws *aws, const struct buildspec *spec, const struct strings *given,
	struct json **out_secrets, struct error *err) must_use;

#endif
