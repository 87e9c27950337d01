/*
 * query.h - AWS's query protocol: JSON to a form on the way out, XML to JSON on the way in.
 */
#ifndef BASE_AWS_QUERY_H
#define BASE_AWS_QUERY_H

#include "base/json.h"

/* "Action=…&Version=…&Name.member.1=…": lists from 1, an empty list is "Name=", null is left out. */
void query_encode(const char *action, const char *version, const struct json *input,
	struct buf *out);

/*
 * The answer as the model's JSON: what stands inside <OperationResult>, {} when there is nothing.
 * Numbers, booleans and lists are told by a table of names (query_names.c); times stay text.
 * For an error the content of <Error>: {"Type","Code","Message"}.
 *
 * Fails with ERROR_PROTOCOL when it is no XML, has a document type, or nests too deeply.
 */
bool query_decode(struct str xml, struct json **out_value, struct error *err) must_use;

/* What the text of an element is. */
enum query_kind {
	QUERY_TEXT,
	QUERY_INT,
	QUERY_REAL,
	QUERY_BOOL,
	QUERY_LIST,
};
enum query_kind query_kind_of(const char *element, const char *parent);

#endif
