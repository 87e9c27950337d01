/*
 * input.h - reading an operation's input, whichever protocol it came by.
 *
 * The query protocol carries only text, so numbers and booleans are accepted as text too. Whatever
 * does not fit is refused with AWS's code for it, which each service names differently.
 */
#ifndef DEPLOYERS_LOCAL_INPUT_H
#define DEPLOYERS_LOCAL_INPUT_H

#include "deployers/local/operation.h"

/* The text member, refused with code when it is missing or empty. NULL: refused. */
const char *input_text(const struct json *input, const char *name, const char *code,
	struct refusal *refusal) must_use;

/* A whole number or a text that spells one; absent gives fallback. Refused outside least…most. */
bool input_int(const struct json *input, const char *name, int64_t least, int64_t most,
	int64_t fallback, const char *code, int64_t *out_value, struct refusal *refusal) must_use;

/* true, false, "true" or "false"; anything else is fallback. */
bool input_bool(const struct json *input, const char *name, bool fallback);

/* Where a page starts: tokens are numbers of items already shown. Refused when it is none. */
bool input_page(const struct json *input, const char *token_name, const char *code,
	size_t *out_from, struct refusal *refusal) must_use;

/* Moves items [from, from + limit) of all (taken) into output under name, and sets token_name when
 * more follow. */
void output_page(struct json *output, const char *name, struct json *all, size_t from, size_t limit,
	const char *token_name);

#endif
