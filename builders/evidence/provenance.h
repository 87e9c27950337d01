/*
 * provenance.h - where an image comes from: SLSA provenance, version 1.
 *
 *     buildDefinition.externalParameters    repository, commit, service, buildspec and its digest, step key
 *     buildDefinition.internalParameters    what compressed the layers; dogshore's version
 *     buildDefinition.resolvedDependencies  the commit, the toolchain, packages that files came from
 *     runDetails                            who built it, in which run; the SBOMs made with it
 *
 * The image's digest is not changed by any of it: the provenance refers to the image.
 * Without times given, equal facts make equal bytes.
 *
 * Source  slsa.dev/spec/v1.0/provenance; in-toto ResourceDescriptor v1.
 */
#ifndef BUILDERS_EVIDENCE_PROVENANCE_H
#define BUILDERS_EVIDENCE_PROVENANCE_H

#include "builders/evidence/statement.h"

#define PROVENANCE_BUILD_TYPE "urn:dogshore:image-build:v1"
/* The builder when $DOGSHORE_BUILDER_ID names no other. */
#define PROVENANCE_BUILDER "urn:dogshore:builder"

/* What the one who builds knows; texts are owned and NULL when they are not known. */
struct provenance_facts {
	char *repository;               /* "https://git.example.com/shop/booking" */
	char *commit;                   /* 40 hex digits */
	char *service;                  /* as dogshore.yml names it */
	char *buildspec_path;           /* below the repository */
	char *buildspec_sha256;         /* 64 hex digits */
	char *key;                      /* the step key: 64 hex digits */
	char *toolchain;                /* what identifies the system that compiled */
	char *invocation;               /* which run */
	char *started_at, *finished_at; /* RFC 3339 */
	char *builder;                  /* URI */
};
void provenance_facts_free(struct provenance_facts *facts);

/*
 * Reads facts from a JSON document: {"repository","commit","service","buildspec":{"path","sha256"},
 * "key","toolchain","invocation","started_at","finished_at","builder"}; each may be missing, others
 * are errors.
 *
 * Fails with  ERROR_INVALID (naming the member), ERROR_LIMIT.
 */
bool provenance_facts_parse(struct str text, const char *what, struct provenance_facts *out_facts,
	struct error *err) must_use;

/* A further dependency or by-product. */
struct provenance_item {
	char *name, *uri, *media_type; /* owned; NULL: not known */
	bool has_digest;
	struct digest digest;
};
struct provenance_items {
	struct provenance_item *items; /* owned */
	size_t count;
};
void provenance_items_add(struct provenance_items *list, const char *name, const char *uri,
	const char *media_type, const struct digest *digest);
void provenance_items_free(struct provenance_items *list);

/* compressor: compression_identity()'s text, NULL when it is not known. The statement has the predicate;
 * its subjects are the caller's business. */
void provenance_write(const struct provenance_facts *facts, const char *compressor,
	const struct provenance_items *packages, const struct provenance_items *byproducts,
	struct statement *out_statement);

/* What a predicate from outside says; NULL for what it does not say. Borrowed. */
struct provenance {
	const char *build_type, *builder, *repository, *commit, *service, *key;
	const char *buildspec_path, *buildspec_sha256, *toolchain;
};
void provenance_read(const struct json *predicate, struct provenance *out_provenance);

#endif
