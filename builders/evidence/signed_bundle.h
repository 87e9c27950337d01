/*
 * signed_bundle.h - a sigstore bundle: a signature with the word which key made it. cosign 3 finds
 *            signatures and attestations in this form, as referrers of the image.
 *
 * We write version 0.3 with a public key and a DSSE envelope and no entry of a transparency log;
 * verify with cosign by --key and --insecure-ignore-tlog. A signature of an image is an envelope
 * too, around a statement with the predicate PREDICATE_SIGNATURE.
 *
 * Source  sigstore/protobuf-specs: sigstore_bundle.proto; sigstore/cosign: specs/BUNDLE_SPEC.md.
 */
#ifndef BUILDERS_EVIDENCE_SIGNED_BUNDLE_H
#define BUILDERS_EVIDENCE_SIGNED_BUNDLE_H

#include "builders/evidence/dsse.h"

#define MEDIA_TYPE_BUNDLE "application/vnd.dev.sigstore.bundle.v0.3+json"

struct signed_bundle {
	char *hint;        /* owned; "" when it names no key */
	bool has_envelope; /* else a signature of bytes by their digest */
	struct dsse envelope;
	struct digest digest; /* of the bytes signed, as the bundle says */
	struct buf signature; /* DER */
	bool has_certificate; /* signed with a certificate, which we cannot check offline */
};
void signed_bundle_free(struct signed_bundle *bundle);

void signed_bundle_write(const struct dsse *envelope, const struct public_key *key,
	struct buf *out);

/*
 * Reads a bundle of version 0.1, 0.2 or 0.3.
 *
 * Fails with  ERROR_INVALID, ERROR_LIMIT (over 64 MiB).
 */
bool signed_bundle_parse(struct str text, const char *what, struct signed_bundle *out_bundle,
	struct error *err) must_use;

/* base64 of the key's id: cosign's hint. */
void signed_bundle_hint(const struct public_key *key, struct buf *out);

#endif
