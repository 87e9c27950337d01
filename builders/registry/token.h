/*
 * token.h - values for the Authorization header: Basic from a user and password, Bearer from the
 *           token server that a registry names in its challenge.
 *
 * Source  "Token Authentication Specification" of the distribution project; RFC 6749 section 6 for
 *         identity tokens.
 */
#ifndef BUILDERS_REGISTRY_TOKEN_H
#define BUILDERS_REGISTRY_TOKEN_H

#include "base/clock.h"
#include "base/http_client.h"
#include "builders/registry/answer.h"
#include "builders/registry/credentials.h"

/* "Basic …"; owned, secret. */
char *token_basic(const struct credentials *credentials) must_use;

struct token_request {
	struct http_client *client;
	const struct challenge *challenge;
	const struct credentials *credentials;
	const char *
		registry_url; /* who sent us: credentials go to a realm without TLS only from there */
	const char *repository;
	bool push;
	const char *mount_from; /* a repository to read besides, for mounts; NULL: none */
	struct clock *clock;
};

struct token {
	char *value;        /* owned, secret: "Bearer …" */
	int64_t expires_ms; /* wall clock */
};
void token_free(struct token *token);

/*
 * Fetches "Bearer …"; owned, secret.
 *
 * Asks for pull and push at once when we mean to push: the challenge of a HEAD asks for pull only,
 * and the upload would then be refused. The scope of a mount's source comes last: some servers
 * heed only the first scope (and others only the last: session_mount_refused()).
 *
 * Fails with ERROR_DENIED (the server refuses, or the realm is one that must not get credentials),
 * ERROR_PROTOCOL (an answer without a token).
 */
bool token_fetch(const struct token_request *request, struct token *out_token, struct error *err)
	must_use;

#endif
