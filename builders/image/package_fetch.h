/*
 * package_fetch.h - runs apt-get and dpkg-deb for package_root.h.
 */
#ifndef BUILDERS_IMAGE_PACKAGE_FETCH_H
#define BUILDERS_IMAGE_PACKAGE_FETCH_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Fetches packages and what they depend on into the folder work, and unpacks them into work/root,
 * with dpkg's notes about them in work/root/var/lib/dpkg.
 *
 * out_id  owned; "root-<hex>", the same for the same packages in the same versions
 */
bool package_fetch(const struct strings *names, const char *work, char **out_id, struct error *err)
	must_use;

#endif
