/*
 * mask_forms.h - for masker.c: the forms in which secrets are looked for, and where one may begin.
 *
 *     as it is          any secret, however short
 *     lines             of a secret with several lines each that has MASK_LINE_LEAST bytes
 *     base64            both alphabets, at any of the three places in a group that a larger text
 *                       gives it, with and without padding, also where lines are folded
 *     hexadecimal       lower and upper case
 *     escaped           each byte that is no letter or digit as it is or as %XX, '+' for a space,
 *                       \", \n and \u00XX of JSON, entities of XML, \c and '\'' of shells
 *
 * Encoded forms are looked for of secrets with at least MASK_ENCODED_LEAST bytes: shorter ones would
 * be found everywhere. Not found: what is compressed, encrypted or encoded twice; base64 shows at
 * most four bits of the first byte, where a larger text was encoded.
 *
 * A form is known by its first four bytes. Of their two triples one begins at an even place, so every
 * second place of the text is looked at.
 */
#ifndef BASE_MASK_FORMS_H
#define BASE_MASK_FORMS_H

#include "base/buf.h"

enum {
	MASK_ENCODED_LEAST = 4,
	MASK_LINE_LEAST = 8,
};

struct mask_forms;

struct mask_forms *mask_forms_new(const struct strings *secrets) must_use;
void mask_forms_free(struct mask_forms **forms);

/* The first place from `from` on where a secret or a credential may begin; text.size when there is
 * none. */
size_t mask_forms_next(const struct mask_forms *forms, struct str text, size_t from);

enum mask_match {
	MASK_NONE,
	MASK_PART, /* the text ends before it is decided */
	MASK_WHOLE,
};

/* Does a secret begin with the text? *out_size is that of the longest form. last: nothing follows. */
enum mask_match mask_forms_match(const struct mask_forms *forms, struct str text, bool last,
	size_t *out_size);

#endif
