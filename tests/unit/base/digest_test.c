#include "tests/test.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <ctype.h>

static void check_digest(struct digest digest, const char *expected_hex)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	CHECK_TEXT(hex, expected_hex);
}

/* NIST's example values for FIPS 180: "abc", the 448-bit message, a million times "a", and none */
TEST(sha256_gives_the_published_values)
{
	check_digest(digest_of("abc", 3),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check_digest(digest_of_str(
			     str_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	check_digest(digest_of(NULL, 0),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	scoped(hasher_free) struct hasher *hasher = hasher_new();

	for (int i = 0; i < 100000; i++)
		hasher_add(hasher, "aaaaaaaaaa", 10);
	check_digest(hasher_finish(hasher),
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* NIST's example values for FIPS 180: "abc" */
TEST(sha512_gives_the_published_value)
{
	char name[DIGEST_NAME_SIZE];
	scoped(hasher_free) struct hasher *hasher = hasher_new_of(DIGEST_SHA512);

	hasher_add(hasher, "a", 1);
	hasher_add(hasher, "bc", 2);
	hasher_finish_name(hasher, name);
	CHECK_TEXT(name, "sha512:"
			 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
	digest_name_of(DIGEST_SHA256, str_of("abc"), name);
	CHECK_TEXT(name, "sha256:"
			 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(a_name_is_sha256_or_sha512_in_lower_case_and_whole)
{
	char name[DIGEST_NAME_SIZE];
	enum digest_kind kind = DIGEST_SHA256;

	digest_name_of(DIGEST_SHA512, str_of("abc"), name);
	CHECK(digest_name_valid(str_of(name), &kind));
	CHECK_INT(kind, DIGEST_SHA512);
	name[strlen(name) - 1] = '\0';
	CHECK(!digest_name_valid(str_of(name), &kind));
	digest_name_of(DIGEST_SHA256, str_of("abc"), name);
	CHECK(digest_name_valid(str_of(name), &kind));
	CHECK_INT(kind, DIGEST_SHA256);
	name[7] = 'B';
	CHECK(!digest_name_valid(str_of(name), &kind));
	CHECK(!digest_name_valid(str_of("md5:900150983cd24fb0d6963f7d28e17f72"), &kind));
	CHECK(!digest_name_valid(str_of(""), &kind));
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block) */
TEST(hmac_gives_the_published_values)
{
	char key[131];

	memset(key, 0x0b, 20);
	check_digest(hmac_sha256(key, 20, "Hi There", 8),
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	check_digest(hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, 131);
	check_digest(hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
			     54),
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(a_digest_is_read_back_exactly)
{
	struct digest digest = digest_of("abc", 3), back = {0};
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(&digest, text);
	CHECK_TEXT(text, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	CHECK(digest_is_zero(&back));
	CHECK(digest_parse(str_of(text), &back));
	CHECK(digest_equal(&digest, &back));
	text[10] = 'B';
	CHECK(!digest_parse(str_of(text), &back));
	CHECK(!digest_parse(str_of("sha256:"), &back));
	CHECK(!digest_parse(str_of("sha512:ba7816bf"), &back));
}

TEST(a_file_is_hashed_with_its_size)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL;
	struct digest digest;
	int64_t size = 0;

	REQUIRE_OK(folder_make_temporary(NULL, "digest-test-", &folder, &err));
	scoped(text_free) char *path = path_join(folder, "abc");

	CHECK_OK(file_write(path, str_of("abc"), 0600, false, &err));
	CHECK_OK(digest_of_file(path, &digest, &size, &err));
	CHECK_INT(size, 3);
	check_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	CHECK_OK(folder_remove(folder, &err));
	CHECK_FAILS(digest_of_file(path, &digest, &size, &err), ERROR_NOT_FOUND);
}

/* RFC 4648, section 10 */
TEST(base64_gives_the_published_values_and_reads_them)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < countof(pairs); i++) {
		scoped(buf_free) struct buf text = {0}, back = {0};

		base64_append(&text, pairs[i][0], strlen(pairs[i][0]));
		CHECK_TEXT(buf_text(&text), pairs[i][1]);
		CHECK(base64_decode(buf_str(&text), &back));
		CHECK_TEXT(buf_text(&back), pairs[i][0]);
	}
}

TEST(base64_refuses_what_is_none)
{
	static const char *const bad[] = {"Z", "Zg=", "Zg",
		"Z===", "====", "Zm9v Zm8=", "Zg==Zg==", "Zm9_"};

	for (size_t i = 0; i < countof(bad); i++) {
		scoped(buf_free) struct buf out = {0};

		CHECK(!base64_decode(str_of(bad[i]), &out));
		CHECK_INT(out.size, 0);
	}
}

TEST(percent_encoding_goes_both_ways)
{
	scoped(buf_free) struct buf out = {0}, back = {0}, plus = {0};

	percent_append(&out, str_of("a-b._~/c d%\xc3\xa4"), true);
	CHECK_TEXT(buf_text(&out), "a-b._~/c%20d%25%C3%A4");
	CHECK(percent_decode(buf_str(&out), false, &back));
	CHECK_TEXT(buf_text(&back), "a-b._~/c d%\xc3\xa4");
	buf_clear(&out);
	percent_append(&out, str_of("/"), false);
	CHECK_TEXT(buf_text(&out), "%2F");
	CHECK(percent_decode(str_of("a+b%2b"), true, &plus));
	CHECK_TEXT(buf_text(&plus), "a b+");
	CHECK(!percent_decode(str_of("%4"), false, &plus));
	CHECK(!percent_decode(str_of("%zz"), false, &plus));
	CHECK_TEXT(buf_text(&plus), "a b+");
}

/* RFC 9562: 8-4-4-4-12 hex digits, the version in the 13th, 8 to b in the 17th */
TEST(a_uuid_has_its_shape)
{
	char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

	uuid_new(a);
	uuid_new(b);
	CHECK_INT(strlen(a), 36);
	for (int i = 0; i < 36; i++)
		CHECK(i == 8 || i == 13 || i == 18 || i == 23 ? a[i] == '-' : isxdigit(a[i]));
	CHECK(a[14] == '4');
	CHECK(strchr("89ab", a[19]) != NULL);
	CHECK(strcmp(a, b) != 0);
}

TEST(random_hex_has_as_many_digits_as_asked_for)
{
	char text[9] = "xxxxxxxx";

	random_hex(text, 7);
	CHECK_INT(strlen(text), 7);
	CHECK_INT(strspn(text, "0123456789abcdef"), 7);
}

TEST_MAIN()
