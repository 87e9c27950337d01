/*
 * sigv4.h - AWS Signature Version 4: the canonical request, the string to sign, the signature.
 *           Clients sign with it, the local cloud verifies with it.
 *
 * Source  "Signature Version 4 signing process", and the published test vectors.
 */
#ifndef BASE_SIGV4_H
#define BASE_SIGV4_H

#include "base/buf.h"
#include "base/error.h"

struct aws_credentials {
	char *access_key_id, *secret_access_key, *session_token; /* owned; token may be NULL */
	int64_t expires_ms;                                      /* 0: never */
	const char *source; /* static: "environment", "profile" … */
};
void aws_credentials_free(struct aws_credentials *credentials);

struct sigv4_header {
	struct str name, value;
};

struct sigv4_request {
	struct str method;
	struct str path;                    /* as it goes on the wire, without query */
	struct str query;                   /* as it goes on the wire, without '?' */
	const struct sigv4_header *headers; /* those that are to be signed, host included */
	size_t header_count;
	struct str payload_sha256; /* hex of the body's SHA-256, or UNSIGNED-PAYLOAD */
	bool normalise_path;       /* every service but S3: true */
	bool escape_path_twice;    /* every service but S3: true */
};

struct sigv4_scope {
	struct str region, service;
	int64_t time_ms;
};

void sigv4_canonical_request(const struct sigv4_request *request, struct buf *out);
void sigv4_string_to_sign(struct str canonical_request, const struct sigv4_scope *scope,
	struct buf *out);
/* 64 hex digits and a NUL */
void sigv4_signature(struct str secret_access_key, const struct sigv4_scope *scope,
	struct str string_to_sign, char out_hex[65]);
/* "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…" */
void sigv4_authorization(const struct sigv4_request *request, const struct sigv4_scope *scope,
	const struct aws_credentials *credentials, struct buf *out);

/* A received Authorization header (or the X-Amz-* query parameters), cut into pieces that borrow. */
struct sigv4_received {
	struct str access_key_id, date, region, service; /* of the credential scope */
	struct str signed_headers;                       /* "host;x-amz-date" */
	struct str signature;
};
/* Fails with ERROR_INVALID saying what is malformed. */
bool sigv4_authorization_parse(struct str header, struct sigv4_received *out, struct error *err)
	must_use;

#endif
