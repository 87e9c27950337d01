/*
 * companion_files.h - the files behind the rows of companions.c. Each function adds them to the tree
 *                     of a closure, or warns when this machine has none.
 *
 * who  the names of those that open them, for reasons and warnings
 */
#ifndef BUILDERS_IMAGE_COMPANION_FILES_H
#define BUILDERS_IMAGE_COMPANION_FILES_H

#include "builders/image/closure_inside.h"

bool companion_certificates(struct closure *closure, const char *who, struct error *err) must_use;
bool companion_openssl_configuration(struct closure *closure, const char *who, struct error *err)
	must_use;
bool companion_openssl_modules(struct closure *closure, const char *who, struct error *err)
	must_use;
/* Converters between UTF-8 and what is met most; or all that glibc has. */
bool companion_gconv(struct closure *closure, const char *who, struct error *err) must_use;
bool companion_gconv_all(struct closure *closure, const char *who, struct error *err) must_use;
/* C.UTF-8: the one locale that every system has besides C. */
bool companion_locale(struct closure *closure, const char *who, struct error *err) must_use;
bool companion_zones(struct closure *closure, const char *who, struct error *err) must_use;

/* One time zone, one locale, by the value that an environment variable has. */
bool companion_zone_of(struct closure *closure, const char *value, const char *variable,
	struct error *err) must_use;
bool companion_locale_of(struct closure *closure, const char *value, const char *variable,
	struct error *err) must_use;

/* A library that is opened by name, with all that it needs, found as the loader would. */
bool companion_plug_in(struct closure *closure, const char *name, const char *why, bool *out_found,
	struct error *err) must_use;

/* Keeps the lines of glibc's gconv-modules that are about these modules. text is the file's. */
void companion_filter_gconv(struct str text, const char *const *modules, size_t count,
	struct buf *out);

#endif
