/*
 * secrets.h - values of parameter-store and secrets-manager variables from a file:
 *
 *     {"parameter-store": {name: text}, "secrets-manager": {secret-id: text | {stage-or-version: text}}}
 */
#ifndef BUILDSPEC_SECRETS_H
#define BUILDSPEC_SECRETS_H

#include "base/json.h"

/* *out_value is owned. ERROR_NOT_FOUND names what is missing, never a value. */
bool secrets_parameter(const struct json *secrets, const char *name, char **out_value,
	struct error *err) must_use;
/* reference: "secret-id[:json-key[:version-stage[:version-id]]]"; the id may be an ARN. */
bool secrets_secret(const struct json *secrets, const char *reference, char **out_value,
	struct error *err) must_use;

#endif
