#include "builders/registry/token_store.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"

#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_LIMIT = 64 << 10,
	SKEW_MS = 60 * 1000,
	SALT_DIGITS = 16,
	CHECK_DIGITS = 4,
	FILES_LIMIT = 256,
};

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static char *path_of(const struct token_place *place)
{
	scoped(text_free) char *name = memory_format("%s\n%s\n%s\n%s", place->host,
		or_empty(place->user), or_empty(place->repository), or_empty(place->rights));
	struct digest digest = digest_of_str(str_of(name));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	return memory_format("%s/%.32s.token", place->folder, hex);
}

static void check_of(const struct token_place *place, const char *salt, char out[CHECK_DIGITS + 1])
{
	const char *secret = or_empty(place->secret);
	struct digest digest = hmac_sha256(salt, strlen(salt), secret, strlen(secret));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	memcpy(out, hex, CHECK_DIGITS);
	out[CHECK_DIGITS] = 0;
}

static void wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->size);
	buf_free(buf);
}

static bool is_private_file(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
	       (status.st_mode & 077) == 0;
}

bool token_store_find(const struct token_place *place, int64_t now_ms, struct token *out_token)
{
	scoped(wipe) struct buf text = {0};
	scoped(json_free) struct json *entry = NULL;
	struct error ignored = {0};
	char check[CHECK_DIGITS + 1];

	if (!place->folder)
		return false;
	scoped(text_free) char *path = path_of(place);
	if (!is_private_file(path))
		return false;
	if (!file_read(path, FILE_LIMIT, &text, &ignored) ||
		!json_parse(buf_str(&text), "token", NULL, &entry, &ignored)) {
		error_ignore(&ignored, "a new token is asked for instead");
		return false;
	}
	const char *value = json_get_text(entry, "authorization", "");
	int64_t expires_ms = json_get_int(entry, "expires_ms", 0);
	check_of(place, json_get_text(entry, "salt", ""), check);
	if (!text_equal(check, json_get_text(entry, "check", "")) || !*value ||
		strpbrk(value, "\r\n") || expires_ms - SKEW_MS <= now_ms)
		return false;
	*out_token = (struct token){.value = memory_copy_text(value), .expires_ms = expires_ms};
	return true;
}

/* Tokens of repositories that are long forgotten are not kept for ever. */
static void sweep(const char *folder)
{
	scoped(strings_free) struct strings names = {0};
	struct error ignored = {0};

	if (!folder_list(folder, &names, &ignored))
		error_ignore(&ignored, "then there is nothing to sweep");
	for (size_t i = 0; names.count > FILES_LIMIT && i < names.count; i++) {
		scoped(text_free) char *path = path_join(folder, names.items[i]);

		if (text_ends_with(path, ".token"))
			(void)unlink(path);
	}
}

void token_store_keep(const struct token_place *place, int64_t now_ms, const struct token *token)
{
	scoped(wipe) struct buf text = {0};
	struct json_writer w = json_writer_start(&text);
	struct error ignored = {0};
	char salt[SALT_DIGITS + 1], check[CHECK_DIGITS + 1];

	if (!place->folder || token->expires_ms - SKEW_MS <= now_ms)
		return;
	scoped(text_free) char *path = path_of(place);
	random_hex(salt, SALT_DIGITS);
	check_of(place, salt, check);
	json_object_begin(&w);
	json_put_text(&w, "host", place->host);
	json_put_text(&w, "salt", salt);
	json_put_text(&w, "check", check);
	json_put_int(&w, "expires_ms", token->expires_ms);
	json_put_text(&w, "authorization", token->value);
	json_object_end(&w);
	if (!folder_make(place->folder, 0700, &ignored) ||
		!file_write(path, buf_str(&text), 0600, false, &ignored))
		error_ignore(&ignored, "the next push asks for one again");
	sweep(place->folder);
}

void token_store_drop(const struct token_place *place)
{
	if (!place->folder)
		return;
	scoped(text_free) char *path = path_of(place);
	(void)unlink(path);
}
