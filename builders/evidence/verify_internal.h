/*
 * verify_internal.h - what the files of the verification share; nobody else includes it.
 */
#ifndef BUILDERS_EVIDENCE_VERIFY_INTERNAL_H
#define BUILDERS_EVIDENCE_VERIFY_INTERNAL_H

#include "builders/evidence/evidence.h"
#include "builders/evidence/verify.h"

/* A statement about the image that a key of the policy signed. */
struct trusted {
	struct statement statement;
	const char *key; /* the policy's name; borrowed */
};

struct verifier {
	const struct layout *layout;
	const struct layout_entry *subject;
	const struct policy *policy;
	const struct verify_options *options;
	struct verification *out;
	struct artifact_list artifacts;
	struct trusted *trusted; /* owned */
	size_t trusted_count;
	struct strings signers; /* names of keys that signed the image in cosign's older form */
	struct strings unheard; /* why evidence was passed over */
};

/* Adds a check; the format is its detail. */
void verify_pass(struct verifier *v, const char *name, const char *format, ...) printf_like(3, 4);
void verify_fail(struct verifier *v, const char *name, const char *format, ...) printf_like(3, 4);

/* What a referrer is, for people: "the SBOM", "the provenance", "the signature". */
const char *verify_artifact_name(const struct artifact_entry *entry);

/* Is the content of a blob what its name says? What is wrong becomes a failed check. */
bool verify_blob(struct verifier *v, const char *check, const struct digest *digest,
	int64_t size_bytes, const char *what);

/* Reads all evidence: fills trusted, signers, unheard; forgeries become failed checks. */
void verify_collect(struct verifier *v);

#endif
