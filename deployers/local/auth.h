/*
 * auth.h - who asks: the one access key of this cloud, and AWS Signature Version 4 verified.
 *
 * The key is made once and kept in <state>/credentials.json (0600), which is also where people and
 * programs find endpoint, region and key. A signature may come in the Authorization header or, for
 * presigned URLs, in X-Amz-* query parameters; date, region, service, signed headers and body are
 * all covered. What is refused is refused with the code that AWS uses, which differs between the
 * JSON and the query protocol.
 *
 * Source  "Signature Version 4 signing process"; "Common Errors" of the ECS and ELBv2 references.
 */
#ifndef DEPLOYERS_LOCAL_AUTH_H
#define DEPLOYERS_LOCAL_AUTH_H

#include "base/sigv4.h"
#include "deployers/local/cloud.h"
#include "deployers/local/operation.h"

struct auth;

/* Reads the key of <state>/credentials.json or makes one. Nothing is written yet. */
bool auth_open(struct cloud *cloud, struct auth **out_auth, struct error *err) must_use;
void auth_free(struct auth **auth);
/* Writes <state>/credentials.json with the endpoint the cloud now has. */
bool auth_announce(struct auth *auth, struct error *err) must_use;

struct auth_request {
	struct str method;
	struct str target; /* as received: path and query */
	struct str body;
	const struct sigv4_header *headers; /* all of them, as received */
	size_t header_count;
};

/*
 * True when the request is signed by our key, for our region and this service, within 5 minutes of
 * now.
 *
 * service     the signing name that the request must be scoped to
 * json_codes  refuse with the codes of JSON services instead of those of query services
 */
bool auth_verify(struct auth *auth, const struct auth_request *request, const char *service,
	bool json_codes, struct refusal *refusal) must_use;

const char *auth_access_key_id(const struct auth *auth);

/* The password that GetAuthorizationToken hands out ("AWS:<password>" for Basic), derived from the
 * key and the hour; still valid twelve hours later. out_expires_ms: when it stops being accepted. */
char *auth_registry_password(struct auth *auth, int64_t *out_expires_ms) must_use;
/* value of an Authorization header: "Basic …" with user AWS and a password that is still valid, or
 * "Bearer …" with that password. */
bool auth_registry_check(struct auth *auth, const char *value) must_use;

/* "expires=…&seal=…": the query with which a path may be read for an hour by whoever has it. */
char *auth_link(struct auth *auth, const char *path) must_use;
bool auth_link_check(struct auth *auth, const char *path, const char *expires, const char *seal)
	must_use;

#endif
