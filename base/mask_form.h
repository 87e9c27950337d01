/*
 * mask_form.h - for mask_forms.c: one form of a secret, and whether a text begins with it.
 */
#ifndef BASE_MASK_FORM_H
#define BASE_MASK_FORM_H

#include "base/mask_forms.h"

enum mask_form_kind {
	FORM_EXACT,
	FORM_ESCAPED,
	FORM_BASE64,
};

struct mask_form {
	enum mask_form_kind kind;
	char *text; /* owned; of FORM_ESCAPED the secret, of FORM_BASE64 the characters it decides */
	size_t size;
	/* FORM_BASE64 */
	size_t phase;       /* characters up to the end of the first group of four */
	unsigned tail_bits; /* how many bits of a further character it decides, and which */
	unsigned tail_value;
};

/* Does text begin with the form? last: nothing follows it. *out_size, of MASK_WHOLE: how much of text. */
enum mask_match mask_form_match(const struct mask_form *form, struct str text, bool last,
	size_t *out_size);

/* RFC 4648, sections 4 and 5: both alphabets; -1 is no character of them. */
int mask_base64_value(char c);
char mask_upper(char c);

#endif
