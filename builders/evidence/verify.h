/*
 * verify.h - does an image in a layout bring what a policy asks for? Needs no network.
 *
 *     content     manifest, configuration, layers and all evidence are what their digests say
 *     signature   cosign's tag or a bundle, made by a key of the policy, naming this image
 *     provenance  an attestation by such a key, about this image, by a builder and from a repository
 *                 that the policy names
 *     sbom        an SBOM that a trusted signature or provenance covers
 *
 * What is signed by keys that the policy does not know is passed over, as others may sign too; what
 * claims one of its keys and was not made by it is refused.
 */
#ifndef BUILDERS_EVIDENCE_VERIFY_H
#define BUILDERS_EVIDENCE_VERIFY_H

#include "builders/evidence/policy.h"
#include "builders/image/layout.h"

/* One question and its answer. */
struct verify_check {
	const char *name; /* "manifest", "configuration", "layers", "evidence", "signature", … */
	bool passed;
	char *detail; /* owned: who signed, or what is wrong with what */
};

struct verification {
	struct digest digest;
	struct verify_check *checks; /* owned */
	size_t count;
	bool passed; /* all of them */
};
void verification_free(struct verification *verification);
/* The first check that failed; NULL when all passed. */
const struct verify_check *verification_failure(const struct verification *verification);

struct verify_options {
	bool without_layers; /* their blobs are not there; registries and runtimes check them */
};

/*
 * A refusal is no error: *out_verification tells.
 *
 * Fails with  ERROR_SYSTEM and its relatives (the layout cannot be read).
 */
bool verify_image(const struct layout *layout, const struct layout_entry *subject,
	const struct policy *policy, const struct verify_options *options,
	struct verification *out_verification, struct error *err) must_use;

void verification_write_json(const struct verification *verification, const char *image,
	struct buf *out);

#endif
