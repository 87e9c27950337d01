/*
 * sbom_model.h - what both forms of a bill of materials say, collected and sorted.
 */
#ifndef BUILDERS_EVIDENCE_SBOM_MODEL_H
#define BUILDERS_EVIDENCE_SBOM_MODEL_H

#include "base/json_writer.h"
#include "builders/evidence/sbom.h"
#include "builders/evidence/sbom_licence.h"

enum { SBOM_ID_SIZE = 21 };

struct sbom_package {
	const struct package *package; /* borrowed */
	struct sbom_licence licence;
	char *url;      /* owned; "pkg:deb/debian/libssl3@3.0.17?arch=amd64&…" */
	bool in_image;  /* has a file in it */
	bool is_static; /* the linker put parts of it into the program */
};

struct sbom_file {
	const struct tree_entry *entry; /* borrowed */
	struct digest sha256;
	unsigned char sha1[SHA1_SIZE];
	int package; /* place in packages, -1: none */
	bool is_elf;
	size_t *needs; /* owned; places in files of the libraries that it asks for */
	size_t need_count;
};

struct sbom {
	const struct image *image;         /* borrowed */
	struct package_database *database; /* borrowed; NULL: there was nothing to ask it */
	struct package_database *own;      /* owned; the database when the image has none */
	struct sbom_package *packages;     /* owned, sorted by name and architecture */
	size_t package_count;
	struct strings archives; /* names of static libraries that are of no package, sorted */
	struct digest identity;  /* of all that the documents depend on */
	struct sbom_file *files; /* owned, sorted by path */
	size_t file_count;
};
void sbom_free(struct sbom *sbom);

/* The packages and archives, and what the documents will be known by: two images with the same
 * identity have the same documents. Quick: reads no file of the image. */
bool sbom_begin(const struct image *image, const struct sbom_options *options,
	struct sbom *out_sbom, struct error *err) must_use;
/* The rest: hashes the files, reads the licences, finds out what needs what. */
bool sbom_complete(struct sbom *sbom, struct error *err) must_use;

/* The program among the files; NULL when it was replaced by a file of the user's. */
const struct sbom_file *sbom_program(const struct sbom *sbom);
/* "rooms", and "pkg:oci/rooms@sha256%3A…?arch=amd64" (owned). */
const char *sbom_image_name(const struct image *image);
char *sbom_image_url(const struct image *image) must_use;
/* 20 hex digits that stand for a text in ids. */
void sbom_id(const char *text, char out[SBOM_ID_SIZE]);
/* "2023-11-14T22:13:20Z" */
void sbom_put_time(struct json_writer *w, const char *key, int64_t time_s);
void sbom_put_hex(struct json_writer *w, const char *key, const void *bytes, size_t size);

void sbom_write_spdx(const struct sbom *sbom, struct buf *out);
void sbom_write_cyclonedx(const struct sbom *sbom, struct buf *out);

#endif
