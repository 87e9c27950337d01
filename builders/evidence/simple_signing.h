/*
 * simple_signing.h - a signature of an image in cosign's older form: a small document that names the
 *                    image's digest, and its signature, both in an image under the tag
 *                    "sha256-<hex>.sig" (signature_image.h).
 *
 * Source  sigstore/cosign: specs/SIGNATURE_SPEC.md; containers/image: docs/containers-signature.5.md.
 */
#ifndef BUILDERS_EVIDENCE_SIMPLE_SIGNING_H
#define BUILDERS_EVIDENCE_SIMPLE_SIGNING_H

#include "builders/evidence/signer.h"
#include "builders/image/artifact.h"
#include "builders/image/signature_image.h"

/*
 * Signs subject and adds the signature to those that the layout has about it. Signing again with the
 * same key changes nothing.
 *
 * reference  "HOST/REPOSITORY" that the signature is for; "" when it is not known yet
 */
bool simple_signing_add(const struct layout *layout, const struct digest *subject,
	const char *reference, struct signer *signer, struct error *err) must_use;

/* Did the key sign the layer's document? */
bool simple_signing_verify(const struct signature_layer *layer, const struct public_key *key);

/* The digest that a signed document names, and what it was signed for (owned). */
bool simple_signing_parse(struct str document, const char *what, struct digest *out_digest,
	char **out_reference, struct error *err) must_use;

#endif
