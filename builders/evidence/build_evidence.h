/*
 * build_evidence.h - what `image build` knows about the image it has just made, attached to it.
 */
#ifndef BUILDERS_EVIDENCE_BUILD_EVIDENCE_H
#define BUILDERS_EVIDENCE_BUILD_EVIDENCE_H

#include "builders/image/image.h"

struct build_evidence {
	const char *facts; /* file with provenance_facts_parse()'s document; NULL: no provenance */
	const char *key;   /* as signer_open() takes it; NULL: nothing is signed */
	enum compression compression;
};

/* Writes provenance and signature into the image's layout. Nothing wanted: nothing done. */
bool build_evidence_add(const struct image *image, const struct build_evidence *wanted,
	struct error *err) must_use;

/* The facts in a file, and without one none. */
struct provenance_facts;
bool build_evidence_facts(const char *path, struct provenance_facts *out_facts, struct error *err)
	must_use;

#endif
