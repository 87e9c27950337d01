#include "builders/evidence/dsse.h"

#include "base/memory.h"

#include <stdlib.h>

enum { ENVELOPE_LIMIT = 48 << 20, SIGNATURES_LIMIT = 100 };

void dsse_free(struct dsse *envelope)
{
	for (size_t i = 0; i < envelope->signature_count; i++)
		buf_free(&envelope->signatures[i]);
	free(envelope->signatures);
	free(envelope->payload_type);
	buf_free(&envelope->payload);
	*envelope = (struct dsse){0};
}

void dsse_pae(struct str payload_type, struct str payload, struct buf *out)
{
	buf_printf(out, "DSSEv1 %zu %.*s %zu ", payload_type.size, str_args(payload_type),
		payload.size);
	buf_append_str(out, payload);
}

static struct digest pae_digest(const struct dsse *envelope)
{
	scoped(buf_free) struct buf pae = {0};

	dsse_pae(str_of(envelope->payload_type), buf_str(&envelope->payload), &pae);
	return digest_of(pae.data, pae.size);
}

static struct buf *new_signature(struct dsse *envelope)
{
	envelope->signatures = memory_resize(envelope->signatures,
		(envelope->signature_count + 1) * sizeof(envelope->signatures[0]));
	envelope->signatures[envelope->signature_count] = (struct buf){0};
	return &envelope->signatures[envelope->signature_count++];
}

bool dsse_sign(struct dsse *envelope, struct signer *signer, struct error *err)
{
	struct digest digest = pae_digest(envelope);
	scoped(buf_free) struct buf signature = {0};

	if (!signer_sign(signer, &digest, &signature, err))
		return false;
	*new_signature(envelope) = signature;
	signature = (struct buf){0};
	return true;
}

bool dsse_verify(const struct dsse *envelope, const struct public_key *key)
{
	struct digest digest = pae_digest(envelope);

	for (size_t i = 0; i < envelope->signature_count; i++)
		if (public_key_verify(key, &digest, buf_str(&envelope->signatures[i])))
			return true;
	return false;
}

static void put_base64(struct json_writer *w, const char *key, const struct buf *bytes)
{
	scoped(buf_free) struct buf text = {0};

	base64_append(&text, bytes->data, bytes->size);
	json_put_text(w, key, buf_text(&text));
}

void dsse_write(const struct dsse *envelope, struct json_writer *w)
{
	json_object_begin(w);
	put_base64(w, "payload", &envelope->payload);
	json_put_text(w, "payloadType", envelope->payload_type);
	json_key(w, "signatures");
	json_array_begin(w);
	for (size_t i = 0; i < envelope->signature_count; i++) {
		json_object_begin(w);
		put_base64(w, "sig", &envelope->signatures[i]);
		json_object_end(w);
	}
	json_array_end(w);
	json_object_end(w);
}

bool dsse_decode(struct str text, struct buf *out)
{
	scoped(buf_free) struct buf standard = {0};

	while (text.size && text.data[text.size - 1] == '=')
		text.size--;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		buf_append_char(&standard, (char)(c == '-' ? '+' : c == '_' ? '/' : c));
	}
	while (standard.size % 4)
		buf_append_char(&standard, '=');
	return base64_decode(buf_str(&standard), out);
}

static bool read_signatures(const struct json *list, const char *what, struct dsse *envelope,
	struct error *err)
{
	if (!json_is_array(list))
		return error_raise(err, ERROR_INVALID, "%s has no list \"signatures\"", what);
	if (json_count(list) > SIGNATURES_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s has more than %d signatures", what,
			SIGNATURES_LIMIT);
	for (size_t i = 0; i < json_count(list); i++) {
		struct str sig = json_str(json_get(json_at(list, i), "sig"));

		if (sig.size == 0 || sig.size > 2 * (size_t)SIGNATURE_LIMIT ||
			!dsse_decode(sig, new_signature(envelope)))
			return error_raise(err, ERROR_INVALID, "%s: signature %zu is no base64",
				what, i + 1);
	}
	return true;
}

bool dsse_read(const struct json *value, const char *what, struct dsse *out_envelope,
	struct error *err)
{
	scoped(dsse_free) struct dsse envelope = {0};
	const struct json *payload = json_get(value, "payload");
	const char *type = json_get_text(value, "payloadType", "");

	if (!json_is_text(payload) || !*type)
		return error_raise(err, ERROR_INVALID,
			"%s is no DSSE envelope: it has no payload or no payloadType", what);
	if (!dsse_decode(json_str(payload), &envelope.payload))
		return error_raise(err, ERROR_INVALID, "%s: its payload is no base64", what);
	envelope.payload_type = memory_copy_text(type);
	if (!read_signatures(json_get(value, "signatures"), what, &envelope, err))
		return false;
	*out_envelope = envelope;
	envelope = (struct dsse){0};
	return true;
}

bool dsse_parse(struct str text, const char *what, struct dsse *out_envelope, struct error *err)
{
	scoped(json_free) struct json *value = NULL;

	return json_parse(text, what, &(struct json_limits){.size_bytes = ENVELOPE_LIMIT}, &value,
		       err) &&
	       dsse_read(value, what, out_envelope, err);
}
