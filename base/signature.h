/*
 * signature.h - ECDSA with P-256 and SHA-256: one wrapper around OpenSSL's keys.
 *
 * Signatures are in ASN.1 DER, as openssl, cosign and AWS KMS write them. Private keys are PEM:
 * PKCS#8 ("PRIVATE KEY"), the same encrypted ("ENCRYPTED PRIVATE KEY"), or SEC 1 ("EC PRIVATE KEY").
 *
 * Secrets  neither keys nor passphrases are in an error; a private key's memory is wiped when freed.
 * Source   FIPS 186-5, RFC 5480 (SubjectPublicKeyInfo), RFC 5958 (PKCS#8).
 */
#ifndef BASE_SIGNATURE_H
#define BASE_SIGNATURE_H

#include "base/digest.h"

struct private_key;
struct public_key;

enum { KEY_TEXT_LIMIT = 64 * 1024, SIGNATURE_LIMIT = 1024 };

/*
 * Reads a private key.
 *
 * passphrase  NULL when there is none
 * what        where the text comes from, for errors: "\"release.pem\"", "$SIGNING_KEY"
 * Fails with  ERROR_INVALID (no PEM, another kind of key or curve), ERROR_DENIED (the passphrase is
 *             missing or wrong).
 */
bool private_key_parse(struct str pem, const char *passphrase, const char *what,
	struct private_key **out_key, struct error *err) must_use;
void private_key_free(struct private_key **key);
/* Appends the signature of a message with that digest. */
bool private_key_sign(const struct private_key *key, const struct digest *digest, struct buf *out,
	struct error *err) must_use;
struct public_key *private_key_public(const struct private_key *key) must_use;

/* Reads PEM ("PUBLIC KEY") or DER. A private key is refused: it should not lie where this is read. */
bool public_key_parse(struct str text, const char *what, struct public_key **out_key,
	struct error *err) must_use;
void public_key_free(struct public_key **key);
/* Did the key's owner sign a message with that digest? False for anything malformed, too. */
bool public_key_verify(const struct public_key *key, const struct digest *digest,
	struct str signature);
/* SHA-256 of the DER SubjectPublicKeyInfo: the key's name. */
struct digest public_key_id(const struct public_key *key);
void public_key_write_pem(const struct public_key *key, struct buf *out);

#endif
