/*
 * kept_folder.h - folders that were costly to make, found again by what they were made from.
 *
 *     <folder>/<key>            a note: which id the key led to
 *     <folder>/<kind>-<hex>     what was made; the id says what is in it
 *
 * Several keys may lead to one id, and several processes may make the same one: the first stays.
 */
#ifndef BUILDERS_IMAGE_KEPT_FOLDER_H
#define BUILDERS_IMAGE_KEPT_FOLDER_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

/* The folder that a key led to, marked as used now; owned. False: not there any more, or never. */
bool kept_folder_find(const char *folder, const struct digest *key, const char *kind,
	char **out_path);
/* The same by id. */
bool kept_folder_has(const char *folder, const char *id, char **out_path);

/* Notes that key leads to id. */
bool kept_folder_note(const char *folder, const struct digest *key, const char *id,
	struct error *err) must_use;

/*
 * Gives what lies at made (on the same file system) its lasting place, and notes it.
 *
 * limit     of folders of this kind; those unused for longest are removed
 * out_path  owned
 */
bool kept_folder_keep(const char *made, const char *folder, const struct digest *key,
	const char *id, size_t limit, char **out_path, struct error *err) must_use;

/* "<kind>-<32 hex digits>"; owned. */
char *kept_folder_id(const char *kind, const struct digest *digest) must_use;

#endif
