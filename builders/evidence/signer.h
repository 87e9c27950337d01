/*
 * signer.h - who signs: a key from a file, from the environment, or in AWS KMS.
 *
 *     FILE            PEM; encrypted ones are opened with $DOGSHORE_KEY_PASSPHRASE
 *     env:NAME        the same, in the variable NAME
 *     kms:KEY         KEY is a key id, an ARN, alias/NAME or an alias ARN; cosign's awskms:///KEY too
 *
 * The key itself never appears in an argument, an error or a log; a key in KMS never leaves it.
 * Source  AWS KMS API: GetPublicKey, Sign (MessageType DIGEST, ECDSA_SHA_256).
 */
#ifndef BUILDERS_EVIDENCE_SIGNER_H
#define BUILDERS_EVIDENCE_SIGNER_H

#include "base/signature.h"

struct signer;

/*
 * Fails with  ERROR_NOT_FOUND (no file, variable or KMS key), ERROR_INVALID (no such key),
 *             ERROR_DENIED (passphrase, KMS permission), ERROR_UNAVAILABLE (KMS).
 */
bool signer_open(const char *key, struct signer **out_signer, struct error *err) must_use;
void signer_free(struct signer **signer);

/* Appends the DER signature of a message with that digest. */
bool signer_sign(struct signer *signer, const struct digest *digest, struct buf *out,
	struct error *err) must_use;
const struct public_key *signer_public_key(const struct signer *signer);

#endif
