/*
 * sbom_licence.h - the licence of a Debian package as an SPDX expression, from its copyright file.
 *
 * A machine-readable copyright file names a licence for each group of files. Names that SPDX knows
 * are translated ("GPL-2+" is GPL-2.0-or-later, "Expat" is MIT); the others become references whose
 * text is taken from the file. All groups together are joined by AND: who ships the package keeps
 * all of them. Of a copyright file in free text only its digest is said.
 *
 * Source  Debian's machine-readable debian/copyright 1.0 (DEP-5), 7.2; SPDX 2.3, annex D.
 * Limits  copyright file 4 MiB, expression 16 KiB, 500 licences; beyond them it counts as free text.
 */
#ifndef BUILDERS_EVIDENCE_SBOM_LICENCE_H
#define BUILDERS_EVIDENCE_SBOM_LICENCE_H

#include "base/digest.h"

/* A licence that SPDX has no name for. */
struct sbom_licence_reference {
	char *id, *name, *text; /* owned; "LicenseRef-…" */
};

struct sbom_licence {
	char *expression;   /* owned; NULL: nothing can be said (NOASSERTION) */
	struct digest text; /* of the copyright file; zero: there is none */
	struct sbom_licence_reference *references; /* owned */
	size_t reference_count;
};
void sbom_licence_free(struct sbom_licence *licence);

/* Never fails: what makes no sense is free text. */
struct sbom_licence sbom_licence_parse(struct str copyright) must_use;

#endif
