#include "builders/registry/authorization.h"

#include "base/memory.h"
#include "builders/registry/ecr.h"

#include <stdlib.h>

enum { FRESH_MS = 30 * 1000 };

static void forget(struct authorization *a)
{
	token_free(&a->token);
	a->kept = false;
}

void authorization_free(struct authorization *a)
{
	forget(a);
	credentials_free(&a->credentials);
	challenge_free(&a->challenge);
}

static void set(struct authorization *a, struct token token)
{
	token_free(&a->token);
	a->token = token;
	a->generation++;
}

static const char *secret_of(const struct authorization *a)
{
	return a->credentials.password ? a->credentials.password : a->credentials.identity_token;
}

static char *rights_of(const struct authorization *a)
{
	return memory_format("%s %s", a->push ? "pull,push" : "pull",
		a->mount_from ? a->mount_from : "");
}

/* The place of a Bearer token. rights is borrowed. */
static struct token_place place_of(const struct authorization *a, const char *rights)
{
	return (struct token_place){.folder = a->store_folder,
		.host = a->host,
		.user = a->credentials.user,
		.repository = a->repository,
		.rights = rights,
		.secret = secret_of(a)};
}

static void keep(struct authorization *a)
{
	scoped(text_free) char *rights = rights_of(a);
	struct token_place place = place_of(a, rights);

	token_store_keep(&place, clock_now(a->clock), &a->token);
}

static void take_kept(struct authorization *a)
{
	scoped(text_free) char *rights = rights_of(a);
	struct token_place place = place_of(a, rights);
	struct token token;

	if (!token_store_find(&place, clock_now(a->clock), &token))
		return;
	set(a, token);
	a->kept = true;
}

/* ECR's token is a password for Basic, good for half a day and for every repository of the account. */
static struct token_place ecr_place(const struct authorization *a, const char *identity)
{
	return (struct token_place){.folder = a->store_folder,
		.host = a->host,
		.rights = "ecr",
		.secret = identity};
}

static bool fetch_ecr(struct authorization *a, struct error *err)
{
	scoped(text_free) char *identity = ecr_identity();
	struct token_place place = ecr_place(a, identity);
	int64_t expires_ms = 0;

	credentials_free(&a->credentials);
	if (!credentials_of_ecr(a->host, &a->credentials, &expires_ms, err))
		return error_while(err, "looking for credentials for %s", a->host);
	set(a, (struct token){.value = token_basic(&a->credentials), .expires_ms = expires_ms});
	a->kept = false;
	if (expires_ms > 0)
		token_store_keep(&place, clock_now(a->clock), &a->token);
	return true;
}

static bool look_up_ecr(struct authorization *a, struct error *err)
{
	scoped(text_free) char *identity = ecr_identity();
	struct token_place place = ecr_place(a, identity);
	struct token token;

	if (!token_store_find(&place, clock_now(a->clock), &token))
		return fetch_ecr(a, err);
	set(a, token);
	a->kept = true;
	return true;
}

/* Who cannot ask ECR may have logged in: aws ecr get-login-password | docker login. */
static bool find_ecr(struct authorization *a, struct error *err)
{
	struct error why = {0};

	if (look_up_ecr(a, &why))
		return true;
	if (!credentials_find(a->host, a->repository, &a->credentials, err)) {
		error_free(&why);
		return error_while(err, "looking for credentials for %s", a->host);
	}
	if (!a->credentials.password) {
		error_move(err, &why);
		return false;
	}
	error_ignore(&why, "there are other credentials");
	set(a, (struct token){.value = token_basic(&a->credentials)});
	return true;
}

bool authorization_look_up(struct authorization *a, struct error *err)
{
	if (a->looked_up)
		return true;
	a->looked_up = true;
	if (ecr_is_host(a->host))
		return find_ecr(a, err);
	if (!credentials_find(a->host, a->repository, &a->credentials, err))
		return error_while(err, "looking for credentials for %s", a->host);
	take_kept(a);
	if (!a->token.value && a->credentials.password)
		set(a, (struct token){.value = token_basic(&a->credentials)});
	return true;
}

static bool fetch(struct authorization *a, struct error *err)
{
	struct token token;
	struct token_request request = {.client = a->client,
		.challenge = &a->challenge,
		.credentials = &a->credentials,
		.registry_url = a->root,
		.repository = a->repository,
		.push = a->push,
		.mount_from = a->mount_from,
		.clock = a->clock};
	struct error first = {0};

	a->fetched++;
	bool ok = token_fetch(&request, &token, &first);
	if (!ok && a->mount_from && first.kind != ERROR_UNAVAILABLE) {
		/* The second scope may be what it does not like. */
		error_ignore(&first, "tried again without the mount's source");
		a->mount_from = request.mount_from = NULL;
		a->fetched++;
		ok = token_fetch(&request, &token, &first);
	}
	if (!ok) {
		error_move(err, &first);
		return error_while(err, "getting a token for %s/%s", a->host, a->repository);
	}
	set(a, token);
	a->kept = false;
	keep(a);
	return true;
}

bool authorization_freshen(struct authorization *a, struct error *err)
{
	bool ends =
		a->token.expires_ms > 0 && a->token.expires_ms - FRESH_MS <= clock_now(a->clock);

	if (!ends)
		return true;
	if (ecr_is_host(a->host))
		return fetch_ecr(a, err);
	return a->challenge.kind != CHALLENGE_BEARER || fetch(a, err);
}

static void read_challenges(struct authorization *a, const struct http_response *response)
{
	static const char name[] = "WWW-Authenticate:";

	challenge_free(&a->challenge);
	for (size_t i = 0; i < response->headers.count; i++) {
		struct str line = str_of(response->headers.items[i]);
		size_t size = sizeof(name) - 1;

		if (line.size < size ||
			!str_equal_ignoring_case((struct str){line.data, size}, str_literal(name)))
			continue;
		challenge_parse((struct str){line.data + size, line.size - size}, &a->challenge);
	}
}

bool authorization_answer(struct authorization *a, const struct http_response *response,
	struct error *err)
{
	read_challenges(a, response);
	if (a->challenge.kind == CHALLENGE_BEARER)
		return fetch(a, err);
	if (a->kept && ecr_is_host(a->host)) {
		scoped(text_free) char *identity = ecr_identity();
		struct token_place place = ecr_place(a, identity);

		token_store_drop(&place);
		return fetch_ecr(a, err);
	}
	if (a->kept && a->credentials.password && a->challenge.kind == CHALLENGE_BASIC) {
		forget(a);
		set(a, (struct token){.value = token_basic(&a->credentials)});
		return true;
	}
	return authorization_refuse(a, buf_str(&response->body), err);
}

bool authorization_has_mount(const struct authorization *a)
{
	return a->mount_from != NULL;
}

/* A token of other rights is needed: the next 401 brings it, unless one was kept. Basic knows no rights. */
static void change_rights(struct authorization *a, const char *mount_from)
{
	a->mount_from = mount_from;
	if (a->challenge.kind != CHALLENGE_BEARER && !a->kept)
		return;
	if (ecr_is_host(a->host))
		return;
	forget(a);
	a->generation++;
	if (a->credentials.password)
		set(a, (struct token){.value = token_basic(&a->credentials)});
	take_kept(a);
}

void authorization_with_mount(struct authorization *a, const char *repository)
{
	change_rights(a, repository);
}

void authorization_without_mount(struct authorization *a)
{
	if (a->mount_from)
		change_rights(a, NULL);
}

bool authorization_refuse(const struct authorization *a, struct str body, struct error *err)
{
	struct refusal refusal;

	refusal_parse(body, &refusal);
	if (credentials_known(&a->credentials) || a->kept) {
		error_raise(err, ERROR_DENIED, "%s refuses our credentials (from %s) for %s%s%s",
			a->host, a->credentials.source ? a->credentials.source : "an earlier run",
			a->repository, refusal.message[0] ? ": " : "", refusal.message);
		return error_next(err,
			"log in again: docker login %s, or for ECR check the AWS "
			"credentials: aws sts get-caller-identity",
			a->host);
	}
	error_raise(err, ERROR_DENIED, "%s wants credentials for %s and we have none", a->host,
		a->repository);
	const char *helper = a->credentials.silent_helper;
	return error_next(err,
		"log in: docker login %s (podman login and skopeo login do as well)%s%s%s", a->host,
		helper ? "; " : "", helper ? helper : "", helper ? " was asked and gave none" : "");
}
