#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/registry/token_store.h"

#include <sys/stat.h>

static const int64_t NOW = 1795161600000, MINUTE = 60000;

static void remove_folder(char **path)
{
	struct error err = {0};

	if (*path && !folder_remove(*path, &err))
		error_free(&err);
	text_free(path);
}

static char *new_folder(void)
{
	char *path = NULL;
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "tokens-", &path, &err));
	return path;
}

static struct token_place place_in(const char *folder)
{
	return (struct token_place){.folder = folder,
		.host = "r.example.com",
		.user = "ann",
		.repository = "team/app",
		.rights = "pull",
		.secret = "correct-horse"};
}

static void keep(const struct token_place *place, const char *value, int64_t expires_ms)
{
	struct token token = {.value = memory_copy_text(value), .expires_ms = expires_ms};

	token_store_keep(place, NOW, &token);
	token_free(&token);
}

static bool finds(const struct token_place *place, int64_t now_ms)
{
	scoped(token_free) struct token token = {0};

	return token_store_find(place, now_ms, &token);
}

TEST(a_token_is_found_again_until_a_minute_before_its_end)
{
	scoped(remove_folder) char *folder = new_folder();
	scoped(token_free) struct token token = {0};
	struct token_place place = place_in(folder);

	CHECK(!finds(&place, NOW));
	keep(&place, "Bearer abc", NOW + 5 * MINUTE);
	REQUIRE(token_store_find(&place, NOW, &token));
	CHECK_TEXT(token.value, "Bearer abc");
	CHECK_INT(token.expires_ms, NOW + 5 * MINUTE);
	CHECK(finds(&place, NOW + 4 * MINUTE - 1));
	CHECK(!finds(&place, NOW + 4 * MINUTE));
	token_store_drop(&place);
	CHECK(!finds(&place, NOW));
}

TEST(a_token_that_is_about_to_end_is_not_kept)
{
	scoped(remove_folder) char *folder = new_folder();
	struct token_place place = place_in(folder);

	keep(&place, "Bearer abc", NOW + MINUTE);
	CHECK(!finds(&place, NOW - 5 * MINUTE));
}

TEST(a_token_is_of_one_host_user_repository_right_and_secret)
{
	scoped(remove_folder) char *folder = new_folder();
	struct token_place place = place_in(folder), other;

	keep(&place, "Bearer abc", NOW + 5 * MINUTE);
	CHECK((other = place, other.host = "r.example.com:5000", !finds(&other, NOW)));
	CHECK((other = place, other.user = NULL, !finds(&other, NOW)));
	CHECK((other = place, other.repository = "team/other", !finds(&other, NOW)));
	CHECK((other = place, other.rights = "pull,push", !finds(&other, NOW)));
	CHECK((other = place, other.secret = "changed", !finds(&other, NOW)));
	CHECK((other = place, other.folder = NULL, !finds(&other, NOW)));
	CHECK(finds(&place, NOW));
}

TEST(nobody_else_can_read_it_and_the_secret_is_not_in_it)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *folder = path_join(root, "registry");
	scoped(strings_free) struct strings names = {0};
	scoped(buf_free) struct buf text = {0};
	struct token_place place = place_in(folder);
	struct error err = {0};
	struct stat status;

	keep(&place, "Bearer abc", NOW + 5 * MINUTE);
	REQUIRE(stat(folder, &status) == 0);
	CHECK_INT(status.st_mode & 0777, 0700);
	REQUIRE_OK(folder_list(folder, &names, &err));
	REQUIRE(names.count == 1);
	scoped(text_free) char *path = path_join(folder, names.items[0]);
	REQUIRE(stat(path, &status) == 0);
	CHECK_INT(status.st_mode & 0777, 0600);
	REQUIRE_OK(file_read(path, 4096, &text, &err));
	CHECK(!strstr(buf_text(&text), "correct-horse"));

	REQUIRE(chmod(path, 0640) == 0);
	CHECK(!finds(&place, NOW));
}

TEST(a_damaged_file_is_no_token)
{
	static const char *const texts[] = {"", "{", "[]", "{\"authorization\":\"Bearer x\"}",
		"{\"authorization\":\"Bearer x\\r\\nHost: evil\",\"expires_ms\":1895161600000}"};
	scoped(remove_folder) char *folder = new_folder();
	scoped(strings_free) struct strings names = {0};
	struct token_place place = place_in(folder);
	struct error err = {0};

	place.secret = NULL;
	keep(&place, "Bearer abc", NOW + 5 * MINUTE);
	REQUIRE_OK(folder_list(folder, &names, &err));
	scoped(text_free) char *path = path_join(folder, names.items[0]);
	for (size_t i = 0; i < countof(texts); i++) {
		REQUIRE_OK(file_write(path, str_of(texts[i]), 0600, false, &err));
		CHECK(!finds(&place, NOW));
	}
}

TEST_MAIN()
