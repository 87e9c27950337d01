/*
 * pattern.h - file patterns of artifacts and reports, over a real folder.
 *
 * "*" is any run of characters within one name, "?" one of them, "**" as a whole name zero or more
 * folders. Leading dots are not special. Only regular files count; a link counts as the file it
 * leads to when that lies below the root, so a build cannot hand out files of the machine.
 */
#ifndef BUILDSPEC_PATTERN_H
#define BUILDSPEC_PATTERN_H

#include "base/buf.h"
#include "base/error.h"

/* Does a relative path ("a/b.txt") match a pattern without a leading "./"? */
bool pattern_matches(const char *pattern, const char *path);
bool pattern_has_wildcard(const char *pattern);

/* Adds the files below root that match, as paths relative to root, sorted. A pattern that leads
 * out of root matches nothing. A missing root is no error. */
bool pattern_find_files(const char *root, const char *pattern, struct strings *out_paths,
	struct error *err) must_use;

/* The same, where links may lead to anything below bound, which holds root. out_refused gets what
 * matches and leads further, or to nothing. */
bool pattern_find_bounded(const char *bound, const char *root, const char *pattern,
	struct strings *out_paths, struct strings *out_refused, struct error *err) must_use;

/* The same for folders directly below root ("my-build*"). */
bool pattern_find_folders(const char *root, const char *pattern, struct strings *out_paths,
	struct error *err) must_use;

#endif
