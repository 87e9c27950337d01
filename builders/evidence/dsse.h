/*
 * dsse.h - a signed envelope: a payload, what it is, and signatures of both.
 *
 * What is signed is not the payload but its PAE, which binds the type too:
 *     "DSSEv1" SP <bytes of type> SP type SP <bytes of payload> SP payload
 *
 * Source  secure-systems-lab/dsse: protocol.md, envelope.md, version 1.0.
 */
#ifndef BUILDERS_EVIDENCE_DSSE_H
#define BUILDERS_EVIDENCE_DSSE_H

#include "base/json_writer.h"
#include "builders/evidence/signer.h"

#define MEDIA_TYPE_DSSE "application/vnd.dsse.envelope.v1+json"

struct dsse {
	char *payload_type; /* owned */
	struct buf payload;
	struct buf *signatures; /* owned; DER */
	size_t signature_count;
};
void dsse_free(struct dsse *envelope);

void dsse_pae(struct str payload_type, struct str payload, struct buf *out);

/* Adds a signature. */
bool dsse_sign(struct dsse *envelope, struct signer *signer, struct error *err) must_use;
/* Is one of the signatures the key's? */
bool dsse_verify(const struct dsse *envelope, const struct public_key *key);

void dsse_write(const struct dsse *envelope, struct json_writer *w);

/*
 * Reads an envelope from outside. No signature at all is no error here.
 *
 * Fails with  ERROR_INVALID (a member is missing or no base64), ERROR_LIMIT (over 48 MiB, over 100
 *             signatures).
 */
bool dsse_parse(struct str text, const char *what, struct dsse *out_envelope, struct error *err)
	must_use;
bool dsse_read(const struct json *value, const char *what, struct dsse *out_envelope,
	struct error *err) must_use;

/* Standard or URL-safe base64, padded or not: what a verifier must accept. */
bool dsse_decode(struct str text, struct buf *out) must_use;

#endif
