/*
 * query_codec.h - the query protocol: form parameters in, XML out, both by structure.
 *
 *     Actions.member.1.TargetGroupArn=a&Tags.entry.1.key=k&Tags.entry.1.value=v
 *     {"Actions": [{"TargetGroupArn": "a"}], "Tags": {"k": "v"}}
 *
 * The wire carries no types: every leaf is text (operations read numbers with input_int()), and
 * "Names=" may mean an empty list as much as an empty text.
 *
 * Limits  4096 parameters, 16 levels.
 * Source  the AWS query protocol of the Smithy specification.
 */
#ifndef DEPLOYERS_LOCAL_QUERY_CODEC_H
#define DEPLOYERS_LOCAL_QUERY_CODEC_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

/* Parses "a=1&b.member.1=2" to an object. ERROR_INVALID names the parameter; ERROR_LIMIT. */
bool query_parse(struct str form, struct json **out_input, struct error *err) must_use;

/* Appends <ActionResponse xmlns="…"><ActionResult>…</ActionResult><ResponseMetadata>…. Lists
 * become <member> elements, null members are left out. output may be NULL. */
void query_write_answer(const char *action, const char *xml_namespace, const struct json *output,
	const char *request_id, struct buf *out);

/* Appends <ErrorResponse xmlns="…"><Error><Type>Sender|Receiver</Type><Code>…. */
void query_write_error(const char *xml_namespace, int status, const char *code, const char *message,
	const char *request_id, struct buf *out);

#endif
