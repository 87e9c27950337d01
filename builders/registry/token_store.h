/*
 * token_store.h - tokens that outlive the process, so that the next push need not ask for one.
 *
 * A file (0600) for each registry, user, repository and right, in a folder (0700) below the state
 * folder. A token whose file others could read, or that was got with another secret, is not used.
 * Of the secret the file holds 16 bits of a salted hash: enough to see that it changed, not
 * enough to find it.
 *
 * Losing these files costs a request; so nothing here fails.
 */
#ifndef BUILDERS_REGISTRY_TOKEN_STORE_H
#define BUILDERS_REGISTRY_TOKEN_STORE_H

#include "builders/registry/token.h"

struct token_place {
	const char *folder; /* "<state>/registry"; NULL: nothing is kept */
	const char *host, *user, *repository, *rights;
	const char *secret; /* what the token was got with; NULL: nothing */
};

/* One that is good for another minute at least. */
bool token_store_find(const struct token_place *place, int64_t now_ms, struct token *out_token);
void token_store_keep(const struct token_place *place, int64_t now_ms, const struct token *token);
void token_store_drop(const struct token_place *place);

#endif
