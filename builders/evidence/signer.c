#include "builders/evidence/signer.h"

#include "base/aws.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>

#define PASSPHRASE "DOGSHORE_KEY_PASSPHRASE"

struct signer {
	struct private_key *private_key; /* owned; NULL: the key is in KMS */
	struct public_key *public_key;   /* owned */
	struct aws *aws;                 /* owned */
	char *kms_key;                   /* owned */
};

void signer_free(struct signer **signer)
{
	if (!*signer)
		return;
	private_key_free(&(*signer)->private_key);
	public_key_free(&(*signer)->public_key);
	aws_free(&(*signer)->aws);
	free((*signer)->kms_key);
	free(*signer);
	*signer = NULL;
}

const struct public_key *signer_public_key(const struct signer *signer)
{
	return signer->public_key;
}

static bool open_text(struct signer *signer, struct str pem, const char *what, struct error *err)
{
	if (!private_key_parse(pem, getenv(PASSPHRASE), what, &signer->private_key, err))
		return false;
	signer->public_key = private_key_public(signer->private_key);
	return true;
}

static bool open_file(struct signer *signer, const char *path, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *what = memory_format("the key \"%s\"", path);
	bool ok = file_read(path, KEY_TEXT_LIMIT, &text, err) &&
		  open_text(signer, buf_str(&text), what, err);

	if (text.data)
		explicit_bzero(text.data, text.size);
	return ok;
}

static bool open_variable(struct signer *signer, const char *name, struct error *err)
{
	const char *text = getenv(name);
	scoped(text_free) char *what = memory_format("the key in $%s", name);

	if (text && *text)
		return open_text(signer, str_of(text), what, err);
	error_raise(err, ERROR_NOT_FOUND, "the environment has no variable \"%s\"", name);
	return error_next(err, "set it to the key in PEM");
}

/* arn:aws:kms:REGION:ACCOUNT:key/ID names its region. */
static char *region_of(const char *key)
{
	struct str rest = str_of(key);

	if (!str_starts_with(rest, "arn:"))
		return NULL;
	for (int i = 0; i < 3; i++)
		(void)str_cut(&rest, ':');
	return str_copy(str_cut(&rest, ':'));
}

static bool check_kms_key(const struct json *answer, const char *key, struct error *err)
{
	const char *spec = json_get_text(answer, "KeySpec", "");
	const char *usage = json_get_text(answer, "KeyUsage", "");

	if (text_equal(spec, "ECC_NIST_P256") && text_equal(usage, "SIGN_VERIFY"))
		return true;
	error_raise(err, ERROR_INVALID,
		"the KMS key \"%s\" is a %s for %s; ECC_NIST_P256 for SIGN_VERIFY is needed", key,
		spec, usage);
	return error_next(err,
		"aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY");
}

static bool open_kms(struct signer *signer, const char *key, struct error *err)
{
	scoped(text_free) char *region = region_of(key);
	scoped(json_free) struct json *input = json_object_of("KeyId", json_text_new(key), NULL);
	scoped(json_free) struct json *answer = NULL;
	scoped(buf_free) struct buf der = {0};

	signer->kms_key = memory_copy_text(key);
	if (!aws_new(&(struct aws_options){.region = region}, &signer->aws, err) ||
		!aws_call(signer->aws, "kms", "GetPublicKey", input, &answer, NULL, err))
		return error_while(err, "asking KMS for the public key of \"%s\"", key);
	scoped(text_free) char *what = memory_format("the public key of \"%s\"", key);
	if (!check_kms_key(answer, key, err))
		return false;
	if (!base64_decode(json_str(json_get(answer, "PublicKey")), &der))
		return error_raise(err, ERROR_PROTOCOL,
			"KMS answered a public key that is no "
			"base64");
	return public_key_parse(buf_str(&der), what, &signer->public_key, err);
}

bool signer_open(const char *key, struct signer **out_signer, struct error *err)
{
	scoped(signer_free) struct signer *signer = memory_new(sizeof(*signer));
	bool ok;

	if (text_starts_with(key, "kms:"))
		ok = open_kms(signer, key + strlen("kms:"), err);
	else if (text_starts_with(key, "awskms:///"))
		ok = open_kms(signer, key + strlen("awskms:///"), err);
	else if (text_starts_with(key, "env:"))
		ok = open_variable(signer, key + strlen("env:"), err);
	else
		ok = open_file(signer, key, err);
	if (!ok)
		return error_while(err, "opening the signing key");
	*out_signer = signer;
	signer = NULL;
	return true;
}

static bool sign_kms(struct signer *signer, const struct digest *digest, struct buf *out,
	struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *answer = NULL;
	size_t before = out->size;

	base64_append(&text, digest->bytes, DIGEST_SIZE);
	scoped(json_free) struct json *input =
		json_object_of("KeyId", json_text_new(signer->kms_key), "Message",
			json_text_new(buf_text(&text)), "MessageType", json_text_new("DIGEST"),
			"SigningAlgorithm", json_text_new("ECDSA_SHA_256"), NULL);
	if (!aws_call(signer->aws, "kms", "Sign", input, &answer, NULL, err))
		return error_while(err, "signing with the KMS key \"%s\"", signer->kms_key);
	if (!base64_decode(json_str(json_get(answer, "Signature")), out) ||
		!public_key_verify(signer->public_key, digest,
			(struct str){out->data + before, out->size - before}))
		return error_raise(err, ERROR_PROTOCOL,
			"KMS answered a signature that the key \"%s\" did not make",
			signer->kms_key);
	return true;
}

bool signer_sign(struct signer *signer, const struct digest *digest, struct buf *out,
	struct error *err)
{
	return signer->private_key ? private_key_sign(signer->private_key, digest, out, err)
				   : sign_kms(signer, digest, out, err);
}
