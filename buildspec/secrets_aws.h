/*
 * secrets_aws.h - values of parameter-store and secrets-manager variables from AWS.
 *
 * Source  ssm:GetParameters (with decryption, ten names a call), secretsmanager:GetSecretValue.
 */
#ifndef BUILDSPEC_SECRETS_AWS_H
#define BUILDSPEC_SECRETS_AWS_H

#include "base/aws.h"
#include "base/json_writer.h"
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

/* What a build asked AWS for, as the buildspec says it: no values. */
struct secret_names {
	struct strings parameters, secrets;
};
void secret_names_free(struct secret_names *names);
/* The member "asked_of_aws" of a build's result; nothing when nothing was asked. */
void secret_names_write(const struct secret_names *names, struct json_writer *w);
/* Adds what a result says. */
void secret_names_read(const struct json *result, struct secret_names *names);

/* The same once more, to look for it: of parameters only those that AWS keeps encrypted, as the others
 * are no secrets. */
bool secrets_fetch_again(struct aws *aws, const struct secret_names *names,
	struct json **out_secrets, struct error *err) must_use;

#endif
