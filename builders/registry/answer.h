/*
 * answer.h - what registries say besides the thing asked for: challenges (WWW-Authenticate),
 *            refusals (error bodies), and where to go next (Location).
 *
 * All of it comes from outside and may be anything; nothing here fails worse than "not understood".
 */
#ifndef BUILDERS_REGISTRY_ANSWER_H
#define BUILDERS_REGISTRY_ANSWER_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

enum challenge_kind {
	CHALLENGE_NONE,
	CHALLENGE_BASIC,
	CHALLENGE_BEARER,
};

struct challenge {
	enum challenge_kind kind;
	char *realm, *service, *scope; /* owned; NULL when absent */
};
void challenge_free(struct challenge *challenge);

/*
 * Reads one WWW-Authenticate value, which may hold several challenges. Bearer is preferred to Basic;
 * schemes we do not know are passed over. Given again for another header line, a better challenge
 * replaces the one in *challenge.
 * Source  RFC 9110, 11.6.1.
 */
void challenge_parse(struct str value, struct challenge *challenge);

/* {"errors":[{"code","message","detail"}]}; also plain text. */
struct refusal {
	char code[64];     /* of the first error; "" when it gave none */
	char message[256]; /* printable and short */
};
/* Copies what can be shown on one line. */
void printable_copy(struct str from, char *to, size_t room);
void refusal_parse(struct str body, struct refusal *out_refusal);

/*
 * The digests that a refusal with MANIFEST_BLOB_UNKNOWN (or BLOB_UNKNOWN) names, in "detail" or in
 * "message"; out_digests is owned. 0: it names none, or is no such refusal.
 */
size_t refusal_missing(struct str body, struct digest **out_digests) must_use;

/*
 * Where an upload goes on: location resolved against the URL it answers, with the digest appended
 * when digest is not NULL ("sha256:…"). The query it has is kept.
 *
 * Fails with ERROR_PROTOCOL (missing, malformed) and ERROR_DENIED (leads from a public host to a
 * private or link-local address).
 */
bool location_resolve(const char *base_url, const char *location, const char *digest,
	char **out_url, struct error *err) must_use;

/* For "%.*s" in errors and traces: a URL without its query, which may hold a signature. */
#define url_shown(url) (int)strcspn(url, "?"), (url)

/* Do both URLs have the same scheme, host and port? Credentials go nowhere else. */
bool url_same_origin(const char *a, const char *b);

#endif
