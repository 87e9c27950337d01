/*
 * package_root.h - Debian packages by name, resolved by apt and unpacked into a folder of their own.
 *
 * apt-get reads this machine's lists and keys, but gets a state of its own, so nothing is installed
 * or changed here and no root is needed. The packages are unpacked without their scripts. What they
 * depend on comes along, except
 *
 *     what an image has otherwise   libc6, libgcc-s1: the closure brings what of them is needed
 *     what only scripts need        debconf, dpkg, perl-base, adduser, … (the list in the .c)
 *
 * The folder is named by the packages' versions and kept: the same names are not resolved again
 * until apt's lists or dpkg's status change, and the same versions are not unpacked again. The 16
 * folders used last stay.
 *
 *     package_root_prepare -> package_root_add
 */
#ifndef BUILDERS_IMAGE_PACKAGE_ROOT_H
#define BUILDERS_IMAGE_PACKAGE_ROOT_H

#include "builders/image/package_database.h"
#include "builders/image/tree.h"

struct package_root {
	char *path;                        /* owned; NULL: no packages were asked for */
	struct package_database *database; /* owned */
};
void package_root_free(struct package_root *root);

/*
 * names   "tzdata", or "tzdata=2024a-0+deb12u1" for one version
 * folder  where roots are kept, made when missing
 *
 * Fails with  ERROR_USAGE (a name that can be none), ERROR_NOT_FOUND (no such package or version; no
 *             apt), ERROR_UNAVAILABLE (apt could not fetch), ERROR_FAILED (a package that cannot be
 *             unpacked).
 */
bool package_root_prepare(const struct strings *names, const char *folder,
	struct package_root *out_root, struct error *err) must_use;

/*
 * Adds all files but manuals and documentation (copyright files come with package_files.h).
 *
 * Fails with  ERROR_INVALID for setuid files, devices and pipes.
 */
bool package_root_add(const struct package_root *root, struct tree *tree, struct error *err)
	must_use;

#endif
