/*
 * digest.h - SHA-256, HMAC-SHA-256, for registries SHA-512: one wrapper around OpenSSL's EVP. Hex, base64,
 *            random bytes and UUIDs live here too.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/buf.h"
#include "base/error.h"

enum {
	DIGEST_SIZE = 32,
	DIGEST_HEX_SIZE = 65,   /* 64 hex digits and a NUL */
	DIGEST_TEXT_SIZE = 72,  /* "sha256:", 64 hex digits and a NUL */
	DIGEST_NAME_SIZE = 136, /* "sha512:", 128 hex digits and a NUL: room for either kind */
	UUID_TEXT_SIZE = 37,
	SHA1_SIZE = 20,
};

struct digest {
	unsigned char bytes[DIGEST_SIZE];
};

/*
 * Loads OpenSSL, which is otherwise loaded when it is first needed. To be called before a library is
 * loaded that brings it along (libgit2): alone, its 4,000 symbols are looked for in three
 * libraries and not in fifteen, which saves 0.3 of the 7 ms of a small command.
 */
void digest_load(void);

struct hasher; /* SHA-256 over bytes that arrive in pieces */
struct hasher *hasher_new(void) must_use;
void hasher_add(struct hasher *hasher, const void *bytes, size_t size);
struct digest hasher_finish(struct hasher *hasher); /* may be called once; then only free */
void hasher_free(struct hasher **hasher);
/* SHA-1 in the same way, where a format asks for it (SPDX lists it of files); never to trust in. */
struct hasher *hasher_new_sha1(void) must_use;
void hasher_finish_sha1(struct hasher *hasher, unsigned char out[SHA1_SIZE]);

/*
 * What a blob of a registry may be named by. Everything of ours is SHA-256; others may use SHA-512.
 * A name is the text "sha256:…" or "sha512:…".
 */
enum digest_kind {
	DIGEST_SHA256,
	DIGEST_SHA512,
};
struct hasher *hasher_new_of(enum digest_kind kind) must_use;
/* As hasher_finish(), for either kind, as text. */
void hasher_finish_name(struct hasher *hasher, char out[DIGEST_NAME_SIZE]);
void digest_name_of(enum digest_kind kind, struct str bytes, char out[DIGEST_NAME_SIZE]);
/* Accepts exactly "sha256:" with 64 or "sha512:" with 128 lower-case hex digits. */
bool digest_name_valid(struct str text, enum digest_kind *out_kind) must_use;

struct digest digest_of(const void *bytes, size_t size);
struct digest digest_of_str(struct str piece);
bool digest_of_file(const char *path, struct digest *out_digest, int64_t *out_size_bytes,
	struct error *err) must_use;
struct digest hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size);

bool digest_equal(const struct digest *a, const struct digest *b); /* in constant time */
bool digest_is_zero(const struct digest *digest);
bool digest_is_among(const struct digest *digest, const struct digest *list, size_t count);
void digest_to_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE]);
void digest_to_text(const struct digest *digest, char out[DIGEST_TEXT_SIZE]); /* "sha256:…" */
/* Accepts exactly "sha256:" and 64 lower-case hex digits. */
bool digest_parse(struct str text, struct digest *out_digest) must_use;

void hex_append(struct buf *out, const void *bytes, size_t size);
void base64_append(struct buf *out, const void *bytes, size_t size);
bool base64_decode(struct str text, struct buf *out) must_use; /* standard alphabet, padded */
/* RFC 3986 unreserved characters stay, the rest becomes %XX; '/' stays when keep_slash. */
void percent_append(struct buf *out, struct str text, bool keep_slash);
bool percent_decode(struct str text, bool plus_is_space, struct buf *out) must_use;

void random_bytes(void *out, size_t size);
void uuid_new(char out[UUID_TEXT_SIZE]);   /* version 4 */
void random_hex(char *out, size_t digits); /* digits hex digits and a NUL */
bool bytes_equal_constant_time(const void *a, const void *b, size_t size);

#endif
