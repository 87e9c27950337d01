#include "base/signature.h"

#include "base/memory.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

struct private_key {
	EVP_PKEY *key; /* owned */
};

struct public_key {
	EVP_PKEY *key; /* owned */
};

/* What OpenSSL left in its queue may hold parts of the input: dropped, never shown. */
static bool raise_clean(struct error *err, enum error_kind kind, const char *what, const char *why)
{
	ERR_clear_error();
	return error_raise(err, kind, "%s %s", what, why);
}

static bool is_p256(EVP_PKEY *key)
{
	char group[64] = "";

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
		       NULL) &&
	       (text_equal(group, "prime256v1") || text_equal(group, "P-256"));
}

static bool check_kind(EVP_PKEY *key, const char *what, struct error *err)
{
	if (is_p256(key))
		return true;
	raise_clean(err, ERROR_INVALID, what, "is no key on the curve P-256");
	return error_next(err, "make one: openssl ecparam -name prime256v1 -genkey -noout -out "
			       "key.pem");
}

struct passphrase {
	const char *text;
	bool asked;
};

static int give_passphrase(char *out, int size, int writing, void *context)
{
	struct passphrase *passphrase = context;
	size_t length = passphrase->text ? strlen(passphrase->text) : 0;

	(void)writing;
	passphrase->asked = true;
	if (!passphrase->text || length > (size_t)size)
		return -1;
	memcpy(out, passphrase->text, length);
	return (int)length;
}

static bool refuse_private(struct str pem, const char *what, const struct passphrase *passphrase,
	struct error *err)
{
	if (memmem(pem.data, pem.size, "SIGSTORE PRIVATE KEY", 20) ||
		memmem(pem.data, pem.size, "COSIGN PRIVATE KEY", 18)) {
		raise_clean(err, ERROR_INVALID, what,
			"is in cosign's own encrypted form, which is not read here");
		return error_next(err, "sign with a PKCS#8 key: openssl genpkey -algorithm EC "
				       "-pkeyopt ec_paramgen_curve:P-256 -aes256 -out key.pem; "
				       "cosign imports it: cosign import-key-pair --key key.pem");
	}
	if (passphrase->asked && !passphrase->text) {
		raise_clean(err, ERROR_DENIED, what, "is encrypted and there is no passphrase");
		return error_next(err, "put the passphrase into $DOGSHORE_KEY_PASSPHRASE");
	}
	if (passphrase->asked) {
		raise_clean(err, ERROR_DENIED, what,
			"is encrypted with another passphrase, or damaged");
		return error_next(err, "check $DOGSHORE_KEY_PASSPHRASE");
	}
	raise_clean(err, ERROR_INVALID, what, "is no private key in PEM");
	return error_next(err, "it begins with -----BEGIN PRIVATE KEY----- or "
			       "-----BEGIN ENCRYPTED PRIVATE KEY-----");
}

bool private_key_parse(struct str pem, const char *passphrase, const char *what,
	struct private_key **out_key, struct error *err)
{
	struct passphrase given = {.text = passphrase && *passphrase ? passphrase : NULL};

	if (pem.size > KEY_TEXT_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s is larger than %d bytes", what,
			KEY_TEXT_LIMIT);
	BIO *bio = BIO_new_mem_buf(pem.data ? pem.data : "", (int)pem.size);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &given) : NULL;
	BIO_free(bio);
	if (!key)
		return refuse_private(pem, what, &given, err);
	if (!check_kind(key, what, err)) {
		EVP_PKEY_free(key);
		return false;
	}
	*out_key = memory_new(sizeof(**out_key));
	(*out_key)->key = key;
	return true;
}

void private_key_free(struct private_key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->key);
	free(*key);
	*key = NULL;
}

bool private_key_sign(const struct private_key *key, const struct digest *digest, struct buf *out,
	struct error *err)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->key, NULL);
	unsigned char signature[SIGNATURE_LIMIT];
	size_t size = sizeof(signature);
	bool ok = context && EVP_PKEY_sign_init(context) > 0 &&
		  EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0 &&
		  EVP_PKEY_sign(context, signature, &size, digest->bytes, DIGEST_SIZE) > 0;

	EVP_PKEY_CTX_free(context);
	if (!ok)
		return raise_clean(err, ERROR_SYSTEM, "OpenSSL", "could not make a signature");
	buf_append(out, signature, size);
	return true;
}

struct public_key *private_key_public(const struct private_key *key)
{
	struct public_key *result = memory_new(sizeof(*result));

	/* Only verification is done with it; the reference is counted. */
	EVP_PKEY_up_ref(key->key);
	result->key = key->key;
	return result;
}

static EVP_PKEY *read_public(struct str text)
{
	const unsigned char *der = (const unsigned char *)text.data;
	BIO *bio = BIO_new_mem_buf(text.data ? text.data : "", (int)text.size);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return key || text.size == 0 ? key : d2i_PUBKEY(NULL, &der, (long)text.size);
}

bool public_key_parse(struct str text, const char *what, struct public_key **out_key,
	struct error *err)
{
	if (text.size > KEY_TEXT_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s is larger than %d bytes", what,
			KEY_TEXT_LIMIT);
	if (text.size && memmem(text.data, text.size, "PRIVATE KEY-----", 16)) {
		raise_clean(err, ERROR_INVALID, what, "is a private key");
		return error_next(err, "give the public one: openssl pkey -in key.pem -pubout");
	}
	EVP_PKEY *key = read_public(text);
	if (!key) {
		raise_clean(err, ERROR_INVALID, what, "is no public key in PEM or DER");
		return error_next(err, "it begins with -----BEGIN PUBLIC KEY-----");
	}
	if (!check_kind(key, what, err)) {
		EVP_PKEY_free(key);
		return false;
	}
	ERR_clear_error();
	*out_key = memory_new(sizeof(**out_key));
	(*out_key)->key = key;
	return true;
}

void public_key_free(struct public_key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->key);
	free(*key);
	*key = NULL;
}

bool public_key_verify(const struct public_key *key, const struct digest *digest,
	struct str signature)
{
	if (signature.size == 0 || signature.size > SIGNATURE_LIMIT)
		return false;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->key, NULL);
	bool ok = context && EVP_PKEY_verify_init(context) > 0 &&
		  EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0 &&
		  EVP_PKEY_verify(context, (const unsigned char *)signature.data, signature.size,
			  digest->bytes, DIGEST_SIZE) == 1;

	EVP_PKEY_CTX_free(context);
	ERR_clear_error();
	return ok;
}

static void write_der(const struct public_key *key, struct buf *out)
{
	int size = i2d_PUBKEY(key->key, NULL);
	unsigned char *to;

	if (size <= 0) {
		fprintf(stderr, "error: out of memory (for a public key)\n");
		exit(3);
	}
	to = (unsigned char *)buf_reserve(out, (size_t)size);
	out->size += (size_t)i2d_PUBKEY(key->key, &to);
}

struct digest public_key_id(const struct public_key *key)
{
	scoped(buf_free) struct buf der = {0};

	write_der(key, &der);
	return digest_of(der.data, der.size);
}

void public_key_write_pem(const struct public_key *key, struct buf *out)
{
	enum { LINE = 64 }; /* RFC 7468 */
	scoped(buf_free) struct buf der = {0}, text = {0};

	write_der(key, &der);
	base64_append(&text, der.data, der.size);
	buf_append_text(out, "-----BEGIN PUBLIC KEY-----\n");
	for (size_t i = 0; i < text.size; i += LINE)
		buf_printf(out, "%.64s\n", text.data + i);
	buf_append_text(out, "-----END PUBLIC KEY-----\n");
}
