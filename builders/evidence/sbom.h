/*
 * sbom.h - the bill of materials of an image: what is in it, from where, under which licence, and
 *          what uses what.
 *
 *     image ──CONTAINS──► package (of Debian, with version, source, licence, package URL)
 *       └───CONTAINS──► file (SHA-256) ──GENERATED_FROM──► package
 *     program ──DYNAMIC_LINK──► library file;  program ──STATIC_LINK──► package or archive
 *
 * Static libraries come from the linker's map (linker_map.h); nothing else knows them.
 *
 * Written as SPDX 2.3 and as CycloneDX 1.6, each a referrer of the image in its layout. Equal images
 * have equal documents: the time is SOURCE_DATE_EPOCH or 1970, and what must be unique is derived
 * from the image's digest.
 */
#ifndef BUILDERS_EVIDENCE_SBOM_H
#define BUILDERS_EVIDENCE_SBOM_H

#include "builders/image/image.h"

/* Types of the referrers, and media types of the documents in them. */
#define MEDIA_TYPE_SPDX "application/spdx+json"
#define MEDIA_TYPE_CYCLONEDX "application/vnd.cyclonedx+json"

struct sbom_options {
	const char *linker_map;   /* file that the linker wrote for the program; NULL: none */
	const char *cache_folder; /* where documents of the same image are kept; NULL: nowhere */
	const char *dpkg_folder;  /* for tests; NULL: "/var/lib/dpkg" */
};

struct sbom_documents {
	struct digest spdx, cyclonedx; /* of the referrers' manifests */
};

/*
 * Makes both documents of an image that was just built, and adds them to its layout.
 *
 * Fails with  ERROR_CONFLICT when a file changed since the image was built; the kinds of
 *             linker_map_read() and artifact_add().
 */
bool sbom_add(const struct image *image, const struct sbom_options *options,
	struct sbom_documents *out_documents, struct error *err) must_use;

#endif
