/*
 * secrets.h - values of parameter-store and secrets-manager variables from a file:
 *
 *     {"parameter-store": {name: text}, "secrets-manager": {secret-id: text | {stage-or-version: text}}}
 */
#ifndef BUILDSPEC_SECRETS_H
#define BUILDSPEC_SECRETS_H

#include "base/buf.h"
#include "base/json.h"

/* "secret-id[:json-key[:version-stage[:version-id]]]" taken apart; missing parts are empty. */
struct secret_reference {
	struct str id, key, stage, version;
};
struct secret_reference secret_reference_of(const char *text);
/* Which version it means: its version id, its stage, or "AWSCURRENT". */
struct str secret_reference_version(const struct secret_reference *reference);

/* *out_value is owned. ERROR_NOT_FOUND names what is missing, never a value. */
bool secrets_parameter(const struct json *secrets, const char *name, char **out_value,
	struct error *err) must_use;
/* The id of the reference may be an ARN. */
bool secrets_secret(const struct json *secrets, const char *reference, char **out_value,
	struct error *err) must_use;

#endif
