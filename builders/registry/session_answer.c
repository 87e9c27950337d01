/* What answers mean, beyond the request that got them. */
#include "builders/registry/session.h"

#include "base/digest.h"
#include "base/memory.h"
#include "builders/registry/answer.h"
#include "builders/registry/retry.h"

bool session_has_code(const struct exchange *exchange, const char *code)
{
	struct refusal refusal;

	refusal_parse(buf_str(&exchange->response.body), &refusal);
	return text_equal(refusal.code, code);
}

bool session_next_page(const struct exchange *x, char **out_url, struct error *err)
{
	struct str link = str_of(http_response_header(&x->response, "Link"));
	const char *end = memchr(link.data ? link.data : "", '>', link.size);

	*out_url = NULL;
	if (!str_starts_with(link, "<") || !end || !memmem(link.data, link.size, "next", 4))
		return true;
	scoped(text_free) char *target = memory_copy(link.data + 1, (size_t)(end - link.data - 1));
	scoped(text_free) char *url = NULL;
	if (!location_resolve(x->url, target, NULL, &url, err))
		return error_while(err, "following the Link of %.*s", url_shown(x->url));
	if (!url_same_origin(url, x->url))
		return error_raise(err, ERROR_PROTOCOL, "the list goes on at another server: %.*s",
			url_shown(url));
	*out_url = url;
	url = NULL;
	return true;
}

bool session_check_digest(const struct exchange *x, const struct digest *real, struct error *err)
{
	const char *text = http_response_header(&x->response, "Docker-Content-Digest");
	struct digest said;
	char got[DIGEST_TEXT_SIZE];

	if (!text || !digest_parse(str_trim(str_of(text)), &said) || digest_equal(&said, real))
		return true;
	digest_to_text(real, got);
	error_raise(err, ERROR_PROTOCOL, "%s %.*s: the registry says the digest is %s, it is %s",
		x->method, url_shown(x->url), text, got);
	return error_next(err,
		"the registry or a proxy before it changes content; do not trust it");
}

/*
 * A registry that takes no such manifest, no such name or no such method keeps us from the work (exit
 * status 3); nothing that the user gave is wrong (2) as long as blobs are what their names say.
 */
static enum error_kind kind_of_refusal(int status, const struct refusal *refusal)
{
	enum error_kind kind = error_kind_of_http(status);

	return kind == ERROR_INVALID && !text_equal(refusal->code, "DIGEST_INVALID") ? ERROR_DENIED
										     : kind;
}

bool session_refuse(struct session *session, const struct exchange *exchange, const char *expected,
	struct error *err)
{
	const char *repository = session_repository(session);
	struct refusal refusal;
	const char *elsewhere = exchange->response.elsewhere;
	int status = exchange->response.status;

	if (exchange->response.error.kind) {
		error_raise(err, exchange->response.error.kind, "%s",
			exchange->response.error.message);
		return error_next(err, "is %s reachable?", session_host(session));
	}
	refusal_parse(buf_str(&exchange->response.body), &refusal);
	error_raise(err, kind_of_refusal(status, &refusal),
		"%s %.*s%s%s answered %d, expected %s%s%s%s%s", exchange->method,
		url_shown(exchange->url), elsewhere ? ", sent on to " : "",
		elsewhere ? elsewhere : "", status, expected, refusal.code[0] ? "; " : "",
		refusal.code, refusal.message[0] ? ": " : "", refusal.message);
	if (text_equal(refusal.code, "NAME_UNKNOWN") && session_pushes(session))
		error_next(err, "create the repository \"%s\" first, or give --create-repository",
			repository);
	if (status == 403 && !elsewhere)
		error_next(err, "the credentials used (%s) may not do this on %s",
			session_credentials_source(session), repository);
	if (status / 100 == 3)
		error_next(err, "the registry at %s leads to nowhere: is there a proxy before it?",
			session_host(session));
	if (status == 507)
		error_next(err, "free some space on the disk of the registry at %s",
			session_host(session));
	if (status == 429)
		error_next(err, "%s limits how often it is asked: try again later",
			session_host(session));
	if (status >= 500)
		error_next(err, "the registry at %s has trouble of its own: see its log, try again",
			session_host(session));
	if (exchange->tries >= RETRY_TRIES)
		error_while(err, "trying %d times", exchange->tries);
	return false;
}
