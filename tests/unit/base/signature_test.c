#include "tests/test.h"

#include "base/memory.h"
#include "base/signature.h"

/*
 * Made with OpenSSL 3.0 for these tests and used nowhere else:
 *   openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt
 *   openssl pkey -pubout
 *   printf hello | openssl dgst -sha256 -sign key.pem | base64
 */
static const char private_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg77vP0Lpayk9VDtr5\n"
	"JPtSyTTmJwQhis/l5BokMifNSkKhRANCAASyPNWfYNguTXKHED5wOl5boioM69ux\n"
	"xKJkct8Ll6hfh5CmiBwuRsO0h0f+cdemVYbIPZ6g5tTgnig9r/PTDOHH\n"
	"-----END PRIVATE KEY-----\n";
static const char public_pem[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsjzVn2DYLk1yhxA+cDpeW6IqDOvb\n"
	"scSiZHLfC5eoX4eQpogcLkbDtIdH/nHXplWGyD2eoObU4J4oPa/z0wzhxw==\n"
	"-----END PUBLIC KEY-----\n";
static const char encrypted_pem[] =
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
	"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhTj7bdyr2lGgICCAAw\n"
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEOrCEvPqFhDwactILpJqnPUEgZDA\n"
	"Pqc4oFydWw0IxIIvdj8HrGx/3lwBWaXvhlxu+U8202JUfE6TGAnKU7FLxGhV0ala\n"
	"fWoGszVyQ4B+hQTQBAmOiq47/caKfdegGMxNbrwNUsc94x2Vn18tj1D7x6yd8UFM\n"
	"xZk9G0a1UX6JqEmsXOnsBZbM8+PcYqLclh/3UXkmckf7P3hOw6mnI731/ipENdc=\n"
	"-----END ENCRYPTED PRIVATE KEY-----\n";
static const char other_curve_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAiMtkmJakzxAogTBj1\n"
	"ek7KHibgI1SvEsxT3S036IvVuepoD0ldR7s6ufGOJ/FK/GihZANiAARvj+vME1uU\n"
	"XzPu/ShiQ4sf4bxjp0ozpu700EVnGMihEDILwPhbD+ijdAFGJKvfEfTVvZ8GG3Gc\n"
	"+qj4vVLzPRwPpKjC7t2FmyNgnUtb8U6yGBxkmTYx5M1JpCjq/6eQun8=\n"
	"-----END PRIVATE KEY-----\n";
static const char signature_of_hello[] = "MEUCIDqYoWBf5JQSNULKnjpAxskNa1qtGgARGyd6fSEaQuB3AiEAwWksp"
					 "YjQGaaIE2tP4UIGHB2VesPaL9M7AWXKEP9+sKA=";
static const char key_id[] =
	"sha256:9f1e033af0bd8e16059600eedda7f27cb041411a405b0cd050dde56b96d3f9e3";

static struct public_key *trusted(const char *text)
{
	struct public_key *key = NULL;
	struct error err = {0};

	if (!public_key_parse(str_of(text), "the key", &key, &err))
		error_free(&err);
	return key;
}

TEST(a_signature_of_openssl_is_accepted_and_every_changed_bit_refused)
{
	scoped(public_key_free) struct public_key *key = trusted(public_pem);
	scoped(buf_free) struct buf signature = {0};
	struct digest hello = digest_of("hello", 5), other = digest_of("hallo", 5);

	REQUIRE(key && base64_decode(str_of(signature_of_hello), &signature));
	CHECK(public_key_verify(key, &hello, buf_str(&signature)));
	CHECK(!public_key_verify(key, &other, buf_str(&signature)));
	for (size_t bit = 0; bit < signature.size * 8; bit++) {
		signature.data[bit / 8] ^= (char)(1 << bit % 8);
		if (public_key_verify(key, &hello, buf_str(&signature)))
			CHECK_INT((long long)bit, -1);
		signature.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t size = 0; size < signature.size; size++)
		CHECK(!public_key_verify(key, &hello, (struct str){signature.data, size}));
}

TEST(what_a_private_key_signs_its_public_key_accepts)
{
	scoped(private_key_free) struct private_key *key = NULL;
	scoped(public_key_free) struct public_key *known = trusted(public_pem), *own = NULL;
	scoped(buf_free) struct buf signature = {0}, pem = {0};
	struct digest digest = digest_of("bytes", 5);
	struct error err = {0};

	REQUIRE_OK(private_key_parse(str_of(private_pem), NULL, "the key", &key, &err));
	REQUIRE_OK(private_key_sign(key, &digest, &signature, &err));
	CHECK(public_key_verify(known, &digest, buf_str(&signature)));
	own = private_key_public(key);
	public_key_write_pem(own, &pem);
	CHECK_TEXT(buf_text(&pem), public_pem);
	struct digest id = public_key_id(own);
	char text[DIGEST_TEXT_SIZE];
	digest_to_text(&id, text);
	/* openssl pkey -pubout -outform DER | sha256sum */
	CHECK_TEXT(text, key_id);
}

TEST(an_encrypted_key_wants_its_passphrase)
{
	scoped(private_key_free) struct private_key *key = NULL;
	scoped(buf_free) struct buf signature = {0};
	struct digest digest = digest_of("bytes", 5);
	struct error err = {0};

	CHECK_FAILS(private_key_parse(str_of(encrypted_pem), NULL, "the key", &key, &err),
		ERROR_DENIED);
	CHECK_FAILS(private_key_parse(str_of(encrypted_pem), "wrong", "the key", &key, &err),
		ERROR_DENIED);
	REQUIRE_OK(private_key_parse(str_of(encrypted_pem), "secret", "the key", &key, &err));
	REQUIRE_OK(private_key_sign(key, &digest, &signature, &err));
}

TEST(other_keys_are_refused_and_no_error_shows_a_key)
{
	const char *bad[] = {"", "hello", other_curve_pem, public_pem,
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nQUJD\n"
		"-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"};
	scoped(public_key_free) struct public_key *public_one = NULL;
	struct error err = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct private_key *key = NULL;
		CHECK(!private_key_parse(str_of(bad[i]), NULL, "the key", &key, &err));
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK(err.message && !strstr(err.message, "AAAA") && !strstr(err.message, "QUJD"));
		error_free(&err);
	}
	CHECK_FAILS(public_key_parse(str_of(private_pem), "the key", &public_one, &err),
		ERROR_INVALID);
	CHECK_FAILS(public_key_parse(str_of("nonsense"), "the key", &public_one, &err),
		ERROR_INVALID);
}

TEST_MAIN()
