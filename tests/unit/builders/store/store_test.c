#include "builders/store/store.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "tests/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static const char *const names[] = {"artifacts", "reports", "build.log"};

/* A folder of its own with a store and an output in it. */
struct place {
	char *root, *out;
	struct store store;
};

static void place_free(struct place *place)
{
	struct error err = {0};

	if (place->root && !folder_remove(place->root, &err))
		error_ignore(&err, "the test's folder goes with the run");
	store_free(&place->store);
	text_free(&place->root);
	text_free(&place->out);
}

static void put(const char *folder, const char *name, const char *text, mode_t mode)
{
	scoped(text_free) char *path = path_join(folder, name), *parent = path_parent(path);
	struct error err = {0};

	CHECK_OK(folder_make(parent, 0755, &err));
	CHECK_OK(file_write(path, str_of(text), mode, false, &err));
}

static char *get(const char *folder, const char *name)
{
	scoped(text_free) char *path = path_join(folder, name);
	struct buf text = {0};

	return file_read(path, 1 << 20, &text, NULL) ? buf_take(&text) : NULL;
}

static mode_t mode_of(const char *folder, const char *name)
{
	scoped(text_free) char *path = path_join(folder, name);
	struct stat status = {0};

	return lstat(path, &status) == 0 ? status.st_mode & 07777 : 0;
}

static struct place place_make(int64_t limit_bytes)
{
	struct place place = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "store-", &place.root, &err));
	scoped(text_free) char *folder = path_join(place.root, "store");

	place.out = path_join(place.root, "out");
	place.store = store_of(folder, limit_bytes);
	CHECK_OK(folder_make(place.out, 0755, &err));
	return place;
}

static bool keep(struct place *place, const char *key)
{
	const struct store_origin origin = {.commit = (char[]){COMMIT}, .run = 12, .made_ms = 1};
	struct error err = {0};
	bool kept = false;

	CHECK_OK(store_keep(&place->store, key, &origin, place->out, names, countof(names), &kept,
		&err));
	return kept;
}

/* Restores into a new folder below root; NULL when nothing was found. */
static char *restore(struct place *place, const char *key, const char *name, char **out_broken)
{
	scoped(store_origin_free) struct store_origin origin = {0};
	char *to = path_join(place->root, name);
	struct error err = {0};
	bool found = false;

	CHECK_OK(folder_make(to, 0755, &err));
	CHECK_OK(store_restore(&place->store, key, to, &origin, &found, out_broken, &err));
	if (!found)
		text_free(&to);
	return to;
}

/* The only blob with this content. */
static char *blob_path(const struct place *place, const char *text)
{
	struct digest digest = digest_of_str(str_of(text));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	return memory_format("%s/blobs/%.2s/%s", place->store.folder, hex, hex);
}

TEST(what_was_kept_comes_back_as_it_was)
{
	scoped(place_free) struct place place = place_make(1 << 20);
	scoped(text_free) char *broken = NULL, *to = NULL, *link = NULL;
	scoped(store_origin_free) struct store_origin origin = {0};
	char target[16] = "";

	put(place.out, "artifacts/bin/tool", "ELF", 0755);
	put(place.out, "artifacts/empty", "", 0640);
	put(place.out, "artifacts/copy", "ELF", 0600);
	put(place.out, "build.log", "compiled\n", 0600);
	put(place.out, "unrelated", "x", 0600);
	link = path_join(place.out, "artifacts/link");
	CHECK(symlink("bin/tool", link) == 0);
	CHECK(keep(&place, KEY_A));
	to = restore(&place, KEY_A, "again", &broken);
	REQUIRE(to != NULL);
	scoped(text_free) char *tool = get(to, "artifacts/bin/tool");
	scoped(text_free) char *empty = get(to, "artifacts/empty");
	scoped(text_free) char *log = get(to, "build.log");
	scoped(text_free) char *other = get(to, "unrelated");
	scoped(text_free) char *restored = path_join(to, "artifacts/link");

	CHECK_TEXT(tool, "ELF");
	CHECK_INT(mode_of(to, "artifacts/bin/tool"), 0755);
	CHECK_INT(mode_of(to, "artifacts/copy"), 0600);
	CHECK_TEXT(empty, "");
	CHECK_INT(mode_of(to, "artifacts/empty"), 0640);
	CHECK_TEXT(log, "compiled\n");
	CHECK_TEXT(other, NULL);
	CHECK_INT(readlink(restored, target, sizeof(target) - 1), 8);
	CHECK_TEXT(target, "bin/tool");
	REQUIRE(store_find(&place.store, KEY_A, &origin));
	CHECK_TEXT(origin.commit, COMMIT);
	CHECK_INT(origin.run, 12);
	/* "ELF" twice, "compiled\n", and nothing. */
	CHECK_INT(origin.size_bytes, 3 + 3 + 9);
	scoped(text_free) char *text = store_origin_text(&origin);

	CHECK_TEXT(text, "run 12, commit 0123456789ab");
}

TEST(another_key_finds_nothing)
{
	scoped(place_free) struct place place = place_make(1 << 20);
	scoped(text_free) char *broken = NULL, *to = NULL;

	to = restore(&place, KEY_A, "again", &broken);
	CHECK_TEXT(to, NULL);
	put(place.out, "build.log", "x", 0600);
	CHECK(keep(&place, KEY_A));
	to = restore(&place, KEY_B, "again", &broken);
	CHECK_TEXT(to, NULL);
	CHECK_TEXT(broken, NULL);
}

/* What stands in the store is not what was kept: told, removed, and nothing of it is left. */
static void check_broken(struct place *place, const char *piece)
{
	scoped(text_free) char *broken = NULL, *again = NULL, *to = NULL;
	scoped(text_free) char *folder = path_join(place->root, "again");
	scoped(strings_free) struct strings left = {0};
	struct error err = {0};

	to = restore(place, KEY_A, "again", &broken);
	CHECK_TEXT(to, NULL);
	CHECK_CONTAINS(broken, piece);
	CHECK_OK(folder_list(folder, &left, &err));
	CHECK_INT(left.count, 0);
	to = restore(place, KEY_A, "again", &again);
	CHECK_TEXT(to, NULL);
	CHECK_TEXT(again, NULL);
	CHECK(keep(place, KEY_A));
	to = restore(place, KEY_A, "third", &again);
	CHECK(to != NULL);
}

TEST(a_blob_that_was_changed_is_a_miss)
{
	scoped(place_free) struct place place = place_make(1 << 20);
	struct error err = {0};

	put(place.out, "artifacts/bin/tool", "ELF", 0755);
	put(place.out, "build.log", "log", 0600);
	CHECK(keep(&place, KEY_A));
	scoped(text_free) char *blob = blob_path(&place, "ELF");

	CHECK_OK(file_write(blob, str_literal("ELG"), 0400, false, &err));
	check_broken(&place, "artifacts/bin/tool");
}

TEST(a_blob_that_is_gone_is_a_miss)
{
	scoped(place_free) struct place place = place_make(1 << 20);

	put(place.out, "artifacts/a", "first", 0644);
	put(place.out, "build.log", "log", 0600);
	CHECK(keep(&place, KEY_A));
	scoped(text_free) char *blob = blob_path(&place, "log");

	CHECK(unlink(blob) == 0);
	check_broken(&place, "build.log");
}

TEST(an_entry_that_was_changed_is_a_miss)
{
	scoped(place_free) struct place place = place_make(1 << 20);
	struct error err = {0};

	put(place.out, "build.log", "log", 0600);
	CHECK(keep(&place, KEY_A));
	scoped(text_free) char *entry = get(place.store.folder, "entries/" KEY_A);
	scoped(text_free) char *path = path_join(place.store.folder, "entries/" KEY_A);

	/* The mode 0600 is 384; one digit is changed and the document is still valid JSON. */
	REQUIRE(entry && strstr(entry, "384"));
	*strstr(entry, "384") = '4';
	CHECK_OK(file_write(path, str_of(entry), 0600, false, &err));
	check_broken(&place, "entry");
}

TEST(what_was_used_longest_ago_goes_first)
{
	/* Three builds of 400 bytes; the limit is 1000, of which nine tenths are left: two builds. */
	scoped(place_free) struct place place = place_make(1000);
	scoped(text_free) char *broken = NULL, *a = NULL, *b = NULL, *c = NULL;
	char text[401] = {0};

	memset(text, 'a', 400);
	put(place.out, "build.log", text, 0600);
	CHECK(keep(&place, KEY_A));
	memset(text, 'b', 400);
	put(place.out, "build.log", text, 0600);
	CHECK(keep(&place, KEY_B));
	/* A is used after B was made, so B is the one to go. */
	a = restore(&place, KEY_A, "a", &broken);
	CHECK(a != NULL);
	memset(text, 'c', 400);
	put(place.out, "build.log", text, 0600);
	CHECK(keep(&place, KEY_C));
	b = restore(&place, KEY_B, "b", &broken);
	c = restore(&place, KEY_C, "c", &broken);
	CHECK_TEXT(b, NULL);
	CHECK(c != NULL);
	text_free(&a);
	a = restore(&place, KEY_A, "a2", &broken);
	CHECK(a != NULL);
	memset(text, 'b', 400);
	scoped(text_free) char *blob = blob_path(&place, text);

	CHECK(!file_exists(blob));
	CHECK_TEXT(broken, NULL);
}

TEST(contents_that_builds_share_count_once)
{
	scoped(place_free) struct place place = place_make(1000);
	scoped(text_free) char *broken = NULL, *a = NULL;
	char text[601] = {0};

	memset(text, 'x', 600);
	put(place.out, "build.log", text, 0600);
	CHECK(keep(&place, KEY_A));
	CHECK(keep(&place, KEY_B));
	CHECK(keep(&place, KEY_C));
	a = restore(&place, KEY_A, "a", &broken);
	CHECK(a != NULL);
}

TEST(what_is_larger_than_the_store_is_not_kept)
{
	scoped(place_free) struct place place = place_make(4), off = place_make(0);
	scoped(text_free) char *broken = NULL, *to = NULL;

	put(place.out, "build.log", "12345", 0600);
	CHECK(!keep(&place, KEY_A));
	to = restore(&place, KEY_A, "a", &broken);
	CHECK_TEXT(to, NULL);
	put(off.out, "build.log", "", 0600);
	CHECK(!keep(&off, KEY_A));
	CHECK(!file_exists(off.store.folder));
}

TEST(what_a_killed_process_left_goes_with_the_next_removal)
{
	scoped(place_free) struct place place = place_make(10);
	struct error err = {0};

	put(place.out, "build.log", "123456", 0600);
	CHECK(keep(&place, KEY_A));
	put(place.store.folder, "blobs/.incoming.abcdef", "half", 0400);
	put(place.store.folder, "entries/." KEY_B ".abcdef", "half", 0600);
	put(place.out, "build.log", "654321", 0600);
	CHECK(keep(&place, KEY_B));
	scoped(text_free) char *blob = path_join(place.store.folder, "blobs/.incoming.abcdef");
	scoped(text_free) char *entry = path_join(place.store.folder, "entries/." KEY_B ".abcdef");

	CHECK(!file_exists(blob));
	CHECK(!file_exists(entry));
	error_free(&err);
}

/* Keeps and restores its own build and a common one, over and over, in a store that is always full. */
static int work(struct place *place, int number)
{
	char key[65], out[8], text[301];

	for (int round = 0; round < 60; round++) {
		scoped(text_free) char *broken = NULL, *to = NULL, *log = NULL;
		const char *wanted = round % 2 ? KEY_A : key;

		(void)snprintf(key, sizeof(key), "%02d%062d", number, round % 4);
		(void)snprintf(out, sizeof(out), "o%d", number);
		memset(text, round % 2 ? 'x' : 'a' + number, 300);
		text[300] = 0;
		text_free(&place->out);
		place->out = path_join(place->root, out);
		put(place->out, "build.log", text, 0600);
		(void)keep(place, wanted);
		(void)snprintf(out, sizeof(out), "r%d", number);
		to = restore(place, wanted, out, &broken);
		log = to ? get(to, "build.log") : NULL;
		if (broken || (log && strcmp(log, text) != 0))
			return 1;
		scoped(text_free) char *folder = path_join(place->root, out);

		if (!folder_remove(folder, NULL))
			return 1;
	}
	return test_failures != 0;
}

TEST(several_processes_share_a_store)
{
	scoped(place_free) struct place place = place_make(1200);
	pid_t children[4];

	for (int i = 0; i < 4; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(work(&place, i));
	}
	for (int i = 0; i < 4; i++) {
		int status = -1;

		CHECK(waitpid(children[i], &status, 0) == children[i]);
		CHECK_INT(status, 0);
	}
}

TEST(limits_have_units)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {{NULL, 10737418240}, {"", 10737418240}, {"0", 0}, {"4096", 4096},
		{"500M", 524288000}, {"500MB", 524288000}, {"2GiB", 2147483648}, {"7B", 7},
		{"1T", 1099511627776}};
	static const char *const bad[] = {"x", "-1", "1.5G", "10 GiB", "1iB", "1X", "99999999999T",
		"G"};
	struct error err = {0};
	int64_t bytes = 0;

	for (size_t i = 0; i < countof(good); i++) {
		CHECK_OK(store_limit_parse(good[i].text, &bytes, &err));
		CHECK_INT(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < countof(bad); i++)
		CHECK_FAILS(store_limit_parse(bad[i], &bytes, &err), ERROR_USAGE);
}

TEST_MAIN()
