#include "base/digest.h"

#include "base/file.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include <unistd.h>

struct hasher {
	EVP_MD_CTX *context; /* owned */
	enum digest_kind kind;
};

static const char *const prefixes[] = {[DIGEST_SHA256] = "sha256:", [DIGEST_SHA512] = "sha512:"};

/*
 * EVP_sha256() makes OpenSSL look the algorithm up at each use; fetched once it is a table call.
 * The first use also initialises the library without reading openssl.cnf or loading error texts,
 * which is most of what its start costs and nothing of what hashing needs.
 */
static EVP_MD *methods[2]; /* by kind; set once by fetch_…(); live as long as the process */

static void fetch(enum digest_kind kind, const char *name)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
		NULL);
	methods[kind] = EVP_MD_fetch(NULL, name, NULL);
	if (!methods[kind]) {
		fprintf(stderr, "error: OpenSSL has no %s; is its installation complete?\n", name);
		exit(3);
	}
}

static void fetch_sha256(void)
{
	fetch(DIGEST_SHA256, "SHA256");
}

static void fetch_sha512(void)
{
	fetch(DIGEST_SHA512, "SHA512");
}

static EVP_MD *method(enum digest_kind kind)
{
	static pthread_once_t once[2] = {PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT};

	pthread_once(&once[kind], kind == DIGEST_SHA256 ? fetch_sha256 : fetch_sha512);
	return methods[kind];
}

void digest_load(void)
{
	(void)method(DIGEST_SHA256);
}

static struct hasher *new_of(const EVP_MD *chosen)
{
	struct hasher *hasher = memory_new(sizeof(*hasher));

	hasher->context = EVP_MD_CTX_new();
	if (!hasher->context || !EVP_DigestInit_ex2(hasher->context, chosen, NULL)) {
		fprintf(stderr, "error: out of memory (for a hash)\n");
		exit(3);
	}
	return hasher;
}

struct hasher *hasher_new_of(enum digest_kind kind)
{
	struct hasher *hasher = new_of(method(kind));

	hasher->kind = kind;
	return hasher;
}

struct hasher *hasher_new(void)
{
	return hasher_new_of(DIGEST_SHA256);
}

static EVP_MD *sha1; /* set once by fetch_sha1() */

static void fetch_sha1(void)
{
	(void)method(DIGEST_SHA256); /* starts the library in our way */
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!sha1) {
		fprintf(stderr, "error: OpenSSL has no SHA-1; is a policy against it in force?\n");
		exit(3);
	}
}

struct hasher *hasher_new_sha1(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_sha1);
	return new_of(sha1);
}

void hasher_finish_sha1(struct hasher *hasher, unsigned char out[SHA1_SIZE])
{
	int done = EVP_DigestFinal_ex(hasher->context, out, NULL);

	assert(done);
	(void)done;
}

void hasher_add(struct hasher *hasher, const void *bytes, size_t size)
{
	int done = EVP_DigestUpdate(hasher->context, bytes, size);

	assert(done);
	(void)done;
}

struct digest hasher_finish(struct hasher *hasher)
{
	struct digest digest;

	assert(hasher->kind == DIGEST_SHA256);
	int done = EVP_DigestFinal_ex(hasher->context, digest.bytes, NULL);

	assert(done);
	(void)done;
	return digest;
}

void hasher_free(struct hasher **hasher)
{
	if (!*hasher)
		return;
	EVP_MD_CTX_free((*hasher)->context);
	free(*hasher);
	*hasher = NULL;
}

struct digest digest_of(const void *bytes, size_t size)
{
	scoped(hasher_free) struct hasher *hasher = hasher_new();

	hasher_add(hasher, bytes, size);
	return hasher_finish(hasher);
}

struct digest digest_of_str(struct str piece)
{
	return digest_of(piece.data, piece.size);
}

enum { FILE_PIECE = 128 * 1024 };

bool digest_of_file(const char *path, struct digest *out_digest, int64_t *out_size_bytes,
	struct error *err)
{
	scoped(hasher_free) struct hasher *hasher = hasher_new();
	scoped(buf_free) struct buf piece = {0};
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t total = 0;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	char *room = buf_reserve(&piece, FILE_PIECE);

	for (;;) {
		ssize_t size = read(fd, room, FILE_PIECE);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return error_raise_errno(err, "read \"%s\"", path);
		if (size == 0)
			break;
		hasher_add(hasher, room, (size_t)size);
		total += size;
	}
	*out_digest = hasher_finish(hasher);
	if (out_size_bytes)
		*out_size_bytes = total;
	return true;
}

/* RFC 2104 by hand over our own fetched hash: OpenSSL's HMAC() fetches twice for every call. */
struct digest hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size)
{
	enum { BLOCK = 64 };
	unsigned char block[BLOCK] = {0}, pad[BLOCK];
	struct digest digest;

	if (key_size > BLOCK) {
		digest = digest_of(key, key_size);
		memcpy(block, digest.bytes, DIGEST_SIZE);
	} else if (key_size) {
		memcpy(block, key, key_size);
	}
	for (int round = 0; round < 2; round++) {
		scoped(hasher_free) struct hasher *hasher = hasher_new();

		for (size_t i = 0; i < BLOCK; i++)
			pad[i] = block[i] ^ (round == 0 ? 0x36 : 0x5c);
		hasher_add(hasher, pad, BLOCK);
		if (round == 0)
			hasher_add(hasher, bytes, size);
		else
			hasher_add(hasher, digest.bytes, DIGEST_SIZE);
		digest = hasher_finish(hasher);
	}
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(pad, sizeof(pad));
	return digest;
}

bool bytes_equal_constant_time(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return bytes_equal_constant_time(a->bytes, b->bytes, DIGEST_SIZE);
}

bool digest_is_zero(const struct digest *digest)
{
	static const struct digest zero;

	return memcmp(digest->bytes, zero.bytes, DIGEST_SIZE) == 0;
}

bool digest_is_among(const struct digest *digest, const struct digest *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (digest_equal(&list[i], digest))
			return true;
	return false;
}

static const char hex_digits[] = "0123456789abcdef";

static void write_hex(const unsigned char *bytes, size_t size, char *out)
{
	for (size_t i = 0; i < size; i++) {
		out[2 * i] = hex_digits[bytes[i] >> 4];
		out[2 * i + 1] = hex_digits[bytes[i] & 15];
	}
}

void hasher_finish_name(struct hasher *hasher, char out[DIGEST_NAME_SIZE])
{
	unsigned char bytes[64];
	unsigned size = 0;
	int done = EVP_DigestFinal_ex(hasher->context, bytes, &size);

	assert(done);
	(void)done;
	memcpy(out, prefixes[hasher->kind], 7);
	write_hex(bytes, size, out + 7);
	out[7 + 2 * size] = '\0';
}

void digest_name_of(enum digest_kind kind, struct str bytes, char out[DIGEST_NAME_SIZE])
{
	scoped(hasher_free) struct hasher *hasher = hasher_new_of(kind);

	hasher_add(hasher, bytes.data, bytes.size);
	hasher_finish_name(hasher, out);
}

void digest_to_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE])
{
	write_hex(digest->bytes, DIGEST_SIZE, out);
	out[DIGEST_HEX_SIZE - 1] = '\0';
}

void digest_to_text(const struct digest *digest, char out[DIGEST_TEXT_SIZE])
{
	memcpy(out, "sha256:", 7);
	digest_to_hex(digest, out + 7);
}

/* The value of a hex digit, -1 for anything else; capitals count when wanted. */
static int hex_value(char c, bool capitals)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (capitals && c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool digest_parse(struct str text, struct digest *out_digest)
{
	struct digest digest;

	if (text.size != DIGEST_TEXT_SIZE - 1 || !str_starts_with(text, "sha256:"))
		return false;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = hex_value(text.data[7 + 2 * i], false);
		int low = hex_value(text.data[8 + 2 * i], false);

		if (high < 0 || low < 0)
			return false;
		digest.bytes[i] = (unsigned char)(high << 4 | low);
	}
	*out_digest = digest;
	return true;
}

bool digest_name_valid(struct str text, enum digest_kind *out_kind)
{
	static const size_t digits[] = {[DIGEST_SHA256] = 64, [DIGEST_SHA512] = 128};

	for (size_t kind = 0; kind < countof(prefixes); kind++) {
		if (text.size != 7 + digits[kind] || !str_starts_with(text, prefixes[kind]))
			continue;
		for (size_t i = 7; i < text.size; i++)
			if (hex_value(text.data[i], false) < 0)
				return false;
		*out_kind = (enum digest_kind)kind;
		return true;
	}
	return false;
}

void hex_append(struct buf *out, const void *bytes, size_t size)
{
	write_hex(bytes, size, buf_reserve(out, 2 * size));
	out->size += 2 * size;
	out->data[out->size] = '\0';
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buf *out, const void *bytes, size_t size)
{
	const unsigned char *from = bytes;
	char *to = buf_reserve(out, (size + 2) / 3 * 4);
	char *start = to;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		unsigned group = (unsigned)from[i] << 16 |
				 (left > 1 ? (unsigned)from[i + 1] << 8 : 0) |
				 (left > 2 ? from[i + 2] : 0);

		*to++ = base64_digits[group >> 18];
		*to++ = base64_digits[group >> 12 & 63];
		*to++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
		*to++ = left > 2 ? base64_digits[group & 63] : '=';
	}
	out->size += (size_t)(to - start);
	out->data[out->size] = '\0';
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;

	return at ? (int)(at - base64_digits) : -1;
}

bool base64_decode(struct str text, struct buf *out)
{
	size_t padding = 0, before = out->size;

	if (text.size % 4)
		return false;
	while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.size; i += 4) {
		unsigned group = 0;
		size_t missing = i + 4 == text.size ? padding : 0;

		for (size_t j = 0; j < 4; j++) {
			int value = j < 4 - missing ? base64_value(text.data[i + j]) : 0;

			if (value < 0) {
				out->size = before;
				return false;
			}
			group = group << 6 | (unsigned)value;
		}
		unsigned char bytes[3] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8),
			(unsigned char)group};

		buf_append(out, bytes, 3 - missing);
	}
	return true;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void percent_append(struct buf *out, struct str text, bool keep_slash)
{
	static const char capitals[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (is_unreserved((char)c) || (keep_slash && c == '/')) {
			buf_append_char(out, (char)c);
		} else {
			buf_append(out, (char[3]){'%', capitals[c >> 4], capitals[c & 15]}, 3);
		}
	}
}

bool percent_decode(struct str text, bool plus_is_space, struct buf *out)
{
	size_t before = out->size;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '%') {
			int high = i + 2 < text.size ? hex_value(text.data[i + 1], true) : -1;
			int low = i + 2 < text.size ? hex_value(text.data[i + 2], true) : -1;

			if (high < 0 || low < 0) {
				out->size = before;
				return false;
			}
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		buf_append_char(out, c);
	}
	return true;
}

void random_bytes(void *out, size_t size)
{
	unsigned char *to = out;

	while (size) {
		ssize_t got = getrandom(to, size, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			fprintf(stderr, "error: the system gives no random bytes\n");
			exit(3);
		}
		to += got;
		size -= (size_t)got;
	}
}

void uuid_new(char out[UUID_TEXT_SIZE])
{
	unsigned char bytes[16];
	char hex[32];

	random_bytes(bytes, sizeof(bytes));
	bytes[6] = (bytes[6] & 0x0f) | 0x40; /* RFC 9562: version 4, */
	bytes[8] = (bytes[8] & 0x3f) | 0x80; /* variant 10 */
	write_hex(bytes, sizeof(bytes), hex);
	snprintf(out, UUID_TEXT_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		hex + 20);
}

void random_hex(char *out, size_t digits)
{
	for (size_t i = 0; i < digits; i++) {
		unsigned char byte;

		random_bytes(&byte, 1);
		out[i] = hex_digits[byte & 15];
	}
	out[digits] = '\0';
}
