/*
 * credentials.h - who we are to a registry.
 *
 * Asked in this order, the first that knows the host wins:
 *     ECR       <account>.dkr.ecr.<region>.amazonaws.com, and the host of AWS_ENDPOINT_URL (or
 *               AWS_ENDPOINT_URL_ECR): a token from ecr GetAuthorizationToken; when there is none
 *               to be had, the files
 *     files     $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or ~/.docker/config.json,
 *               $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID/auth.json when that is
 *               not set), $XDG_CONFIG_HOME/containers/auth.json or ~/.config/…; in each:
 *               credHelpers, credsStore, auths. A key of auths may name a repository or a part of
 *               one, "host/team": the longest that fits wins
 * None is fine: many registries are open.
 *
 * Secrets live in memory only and are wiped when freed.
 */
#ifndef BUILDERS_REGISTRY_CREDENTIALS_H
#define BUILDERS_REGISTRY_CREDENTIALS_H

#include "base/buf.h"
#include "base/error.h"

struct credentials {
	char *user, *password; /* owned; NULL when there are none */
	char *identity_token;  /* owned; an OAuth2 refresh token instead of a password */
	const char *source;    /* "docker config", "ecr" …; static */
	char *silent_helper;   /* owned: the helper that was asked and gave none; NULL: no such */
};
void credentials_free(struct credentials *credentials);
bool credentials_known(const struct credentials *credentials);

/* ERROR_DENIED when a source that knows the host refuses, ERROR_INVALID for a damaged file. */
bool credentials_find(const char *host, const char *repository, struct credentials *out_credentials,
	struct error *err) must_use;

/* Asks ECR. out_expires_ms 0: it does not say. */
bool credentials_of_ecr(const char *host, struct credentials *out_credentials,
	int64_t *out_expires_ms, struct error *err) must_use;

/* Looks in the content of one file; helpers come from PATH. Exposed for tests. */
bool credentials_from_config(struct str text, const char *what, const char *host,
	const char *repository, struct credentials *out_credentials, struct error *err) must_use;

#endif
