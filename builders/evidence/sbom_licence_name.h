/*
 * sbom_licence_name.h - Debian's short names of licences, and SPDX's.
 */
#ifndef BUILDERS_EVIDENCE_SBOM_LICENCE_NAME_H
#define BUILDERS_EVIDENCE_SBOM_LICENCE_NAME_H

#include "base/buf.h"

/* Appends the SPDX name of one licence ("GPL-2+", "Expat", "GPL-3+ with Autoconf exception"); false,
 * and nothing appended, when SPDX has none. */
bool licence_name_to_spdx(struct str name, struct buf *out);

#endif
