/*
 * mask_escape.h - for mask_forms.c: a text as programs write it when they escape it.
 */
#ifndef BASE_MASK_ESCAPE_H
#define BASE_MASK_ESCAPE_H

#include "base/buf.h"

enum {
	MASK_ESCAPES = 12, /* ways to write one character */
	MASK_ESCAPE_SIZE = 16,
};

/* How the first character of a text may be written; what it is itself comes last. */
struct mask_escapes {
	size_t size;  /* bytes of that character */
	size_t count; /* 1: it is never escaped */
	struct {
		char text[MASK_ESCAPE_SIZE];
		size_t size;
		bool any_case; /* hexadecimal digits may be lower case, too */
	} items[MASK_ESCAPES];
};

/* text is not empty. */
void mask_escapes_of(struct str text, struct mask_escapes *out);

#endif
