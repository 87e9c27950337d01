/*
 * authorization.h - the Authorization header of one session: found before the first request, renewed
 *                   when the registry challenges it or when it is about to end.
 *
 *     credentials ─► Basic, or a token kept by an earlier run ─► sent with the first request
 *     401 + challenge ─► a Bearer token from the realm ─► kept for the next run
 *
 * Nothing is renewed while a body is on its way: authorization_freshen() comes before it.
 */
#ifndef BUILDERS_REGISTRY_AUTHORIZATION_H
#define BUILDERS_REGISTRY_AUTHORIZATION_H

#include "base/http_client.h"
#include "builders/registry/token_store.h"

struct authorization {
	/* Borrowed from the session. */
	struct http_client *client;
	struct clock *clock;
	const char *host, *repository, *root;
	const char *store_folder; /* NULL: nothing is kept between runs */
	bool push;
	const char *mount_from; /* may be NULL; cleared by authorization_without_mount() */

	struct credentials credentials;
	bool looked_up;
	struct token token;         /* what is sent; value NULL: nothing */
	struct challenge challenge; /* the last Bearer challenge */
	bool kept;                  /* the token is of an earlier run */
	int generation;             /* counts values, so that one 401 renews it once */
	int64_t fetched;            /* requests to token servers */
};
void authorization_free(struct authorization *authorization);

/* Who are we? Asked once, before the first request. */
bool authorization_look_up(struct authorization *authorization, struct error *err) must_use;
/* A new token when the one we have ends within half a minute. */
bool authorization_freshen(struct authorization *authorization, struct error *err) must_use;
/* Answers a 401; its WWW-Authenticate headers say what is wanted. ERROR_DENIED when we have nothing. */
bool authorization_answer(struct authorization *authorization, const struct http_response *response,
	struct error *err) must_use;
/* Tokens are good for reading repository as well from now on; borrowed. */
void authorization_with_mount(struct authorization *authorization, const char *repository);
/* Are there tokens with two scopes, which some servers do not understand? */
bool authorization_has_mount(const struct authorization *authorization);
/* No longer asks for the right to read the mount's source; a token got with it is forgotten. */
void authorization_without_mount(struct authorization *authorization);
/* Raises that the registry does not want us. Always false. */
bool authorization_refuse(const struct authorization *authorization, struct str body,
	struct error *err);

#endif
