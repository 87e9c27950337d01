/*
 * evidence.h - attaches to an image of a layout what is known about it, and signs.
 *
 *     provenance, attestations   a DSSE envelope around a statement, a referrer of the type
 *                                application/vnd.in-toto+json; signed ones as a sigstore bundle too
 *     signature                  cosign's tag "sha256-<hex>.sig", and a sigstore bundle as referrer
 *
 * A signature of an image also covers the SBOMs and other plain referrers that lie there when it is
 * made: their manifests' digests are further subjects of the signed statement.
 *
 * Attaching or signing the same again with the same key changes nothing.
 */
#ifndef BUILDERS_EVIDENCE_EVIDENCE_H
#define BUILDERS_EVIDENCE_EVIDENCE_H

#include "builders/evidence/provenance.h"
#include "builders/evidence/sbom.h"
#include "builders/evidence/signer.h"
#include "builders/image/artifact.h"
#include "builders/image/config.h"

#define PREDICATE_TYPE_ANNOTATION "in-toto.io/predicate-type"

/* signer NULL: not signed. The statement gets the subject. */
bool evidence_attest(const struct layout *layout, const struct layout_entry *subject,
	struct statement *statement, struct signer *signer, struct error *err) must_use;

/* reference: "HOST/REPOSITORY" that the signature is for; "" when it is not known. */
bool evidence_sign(const struct layout *layout, const struct layout_entry *subject,
	const char *reference, struct signer *signer, struct error *err) must_use;

/*
 * Provenance of an image: what the facts say, with the SBOMs that the layout has about it as
 * by-products.
 */
bool evidence_provenance(const struct layout *layout, const struct layout_entry *subject,
	const struct provenance_facts *facts, const char *compressor,
	const struct provenance_items *packages, struct signer *signer, struct error *err) must_use;

/*
 * The first SLSA provenance about subject that names commit and service, whoever signed it.
 *
 * Fails with  ERROR_NOT_FOUND, ERROR_INVALID.
 */
bool evidence_find_provenance(const struct layout *layout, const struct digest *subject,
	struct statement *out_statement, struct error *err) must_use;

bool evidence_is_sbom(const char *artifact_type);
/* Plain referrers: no envelopes, bundles or signatures. */
bool evidence_is_plain(const struct artifact_entry *entry);

#endif
