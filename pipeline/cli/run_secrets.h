/*
 * run_secrets.h - the secrets that this process knows of, to be kept out of what it makes.
 *
 * From its environment: the keys, tokens and passwords that dogshore, AWS and continuous integration
 * give it under known names. From the file of `dogshore build --secrets-file`: every value, and of
 * values that are JSON objects the members that are called password, secret, token or key. What a build
 * asked AWS for is asked for again: its result has the names, and no file ever has the values.
 */
#ifndef PIPELINE_CLI_RUN_SECRETS_H
#define PIPELINE_CLI_RUN_SECRETS_H

#include "base/buf.h"
#include "base/error.h"

/*
 * file    of secrets, or NULL
 * result  that of the build, or NULL
 *
 * Fails with  ERROR_INVALID (no JSON object), and what asking AWS gives; no value enters an error.
 */
bool run_secrets_collect(const char *file, const char *result, struct strings *out_secrets,
	struct error *err) must_use;

#endif
