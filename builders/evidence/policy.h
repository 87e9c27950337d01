/*
 * policy.h - what an image must bring before it is trusted. YAML or JSON:
 *
 *     keys:                                  # any of these; the names appear in answers
 *       release: keys/release.pem            # a public key, relative to the policy; or PEM itself
 *     require: [signature, provenance, sbom] # the default is signature
 *     builders: ["urn:dogshore:builder"]     # who may have built it; '*' stands for anything
 *     repositories: ["https://git.example.com/shop*"]
 *
 * Naming builders or repositories requires provenance.
 * Errors name file, line and column and the nearest known word.
 */
#ifndef BUILDERS_EVIDENCE_POLICY_H
#define BUILDERS_EVIDENCE_POLICY_H

#include "base/signature.h"

struct policy_key {
	char *name;             /* owned */
	struct public_key *key; /* owned */
};

struct policy {
	struct policy_key *keys; /* owned */
	size_t key_count;
	bool signature, provenance, sbom; /* what is required */
	struct strings builders, repositories;
};
void policy_free(struct policy *policy);

/* Where the files of keys are read from; NULL: this machine's file system. */
struct policy_files {
	bool (*read)(void *self, const char *path, size_t limit_bytes, struct buf *out,
		struct error *err);
	void *self;
};

/*
 * text     the document
 * what     its name in errors, usually its path
 * folder   where key files are looked for
 * Fails with  ERROR_INVALID, ERROR_LIMIT, ERROR_NOT_FOUND (a key's file).
 */
bool policy_parse(struct str text, const char *what, const char *folder,
	const struct policy_files *files, struct policy *out_policy, struct error *err) must_use;
bool policy_read_file(const char *path, struct policy *out_policy, struct error *err) must_use;
/* A signature by the public key in a file, and nothing else. */
bool policy_of_key(const char *path, struct policy *out_policy, struct error *err) must_use;

#endif
