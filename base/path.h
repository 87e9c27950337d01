/*
 * path.h - names of files: joining, cutting, checking. Touches no file system.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include "base/buf.h"
#include "base/error.h"

char *path_join(const char *folder, const char *name) must_use; /* owned; name if it is absolute */
const char *path_base(const char *path);                        /* "c" of "a/b/c"; borrowed */
char *path_parent(const char *path) must_use; /* "a/b" of "a/b/c", "." of "c"; owned */

/* Removes ".", empty parts and "x/.."; owned. A relative path that climbs out keeps its "..". */
char *path_normalise(const char *path) must_use;

/* True for a relative path that stays below its root once normalised ("a/b", not "/a", "../a"). */
bool path_is_inside(const char *path);

/* True when path is folder itself or lies below it; both normalised and without a final slash. */
bool path_is_below(const char *path, const char *folder);

#endif
