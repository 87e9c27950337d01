/*
 * statement.h - an in-toto statement: "of these things, named by digest, this is true".
 *
 * Source  in-toto attestation framework, Statement v1 (spec/v1/statement.md, resource_descriptor.md).
 */
#ifndef BUILDERS_EVIDENCE_STATEMENT_H
#define BUILDERS_EVIDENCE_STATEMENT_H

#include "base/digest.h"
#include "base/json_writer.h"

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define MEDIA_TYPE_IN_TOTO "application/vnd.in-toto+json"
#define PREDICATE_SLSA_PROVENANCE "https://slsa.dev/provenance/v1"
/* What a sigstore bundle says that is a signature of an image and no more. */
#define PREDICATE_SIGNATURE "https://sigstore.dev/cosign/sign/v1"
#define PREDICATE_SPDX "https://spdx.dev/Document"
#define PREDICATE_CYCLONEDX "https://cyclonedx.org/bom"

struct statement_subject {
	struct digest digest;
	char *name; /* owned; NULL or "": none */
};

struct statement {
	struct statement_subject *subjects; /* owned */
	size_t subject_count;
	char *predicate_type;   /* owned */
	struct json *predicate; /* owned; an object, NULL writes {} */
};
void statement_free(struct statement *statement);
void statement_add_subject(struct statement *statement, const struct digest *digest,
	const char *name);
/* The subject of that digest, NULL when it has none. */
const struct statement_subject *statement_find(const struct statement *statement,
	const struct digest *digest);

void statement_write(const struct statement *statement, struct buf *out);

/*
 * Reads a statement from outside. Subjects without a sha256 are passed over.
 *
 * Fails with  ERROR_INVALID (no JSON, another type, no subject with a sha256, a digest that is none),
 *             ERROR_LIMIT (over 32 MiB, over 10,000 subjects).
 */
bool statement_parse(struct str text, const char *what, struct statement *out_statement,
	struct error *err) must_use;

#endif
