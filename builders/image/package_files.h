/*
 * package_files.h - which files of an image are from which Debian package, and what each of these
 *                   packages brings along: its copyright file, as its licence asks, and its entry in
 *                   /var/lib/dpkg/status.d with the sums of its files, where scanners look for what
 *                   is installed.
 *
 *     usr/share/doc/<package>/copyright
 *     var/lib/dpkg/status.d/<package>            control fields (Package, Version, Source, …)
 *     var/lib/dpkg/status.d/<package>.md5sums    of those files of it that lie in the same layer
 *     etc/os-release, etc/debian_version         which release the versions belong to
 *
 * They lie in the layer of the package's files, so that equal packages make equal layers. An image
 * without a file of any package (a static program) gets none of this.
 */
#ifndef BUILDERS_IMAGE_PACKAGE_FILES_H
#define BUILDERS_IMAGE_PACKAGE_FILES_H

#include "builders/image/package_database.h"
#include "builders/image/tree.h"

/* Is any file of the tree from where packages put theirs? If not, no database need be opened. */
bool package_files_possible(const struct tree *tree);

/* The packages that the tree has files of, by name. Owned array of borrowed packages. */
const struct package **package_files_list(const struct tree *tree, size_t *out_count) must_use;

/* Sets tree_entry.package, and adds the files above. The database must outlive the tree. */
bool package_files_add(struct tree *tree, struct package_database *database, bool with_release,
	struct error *err) must_use;

#endif
