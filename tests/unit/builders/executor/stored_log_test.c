#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/executor/stored_log.h"

#include <signal.h>
#include <sys/resource.h>
#include <zstd.h>

enum { BIG = 16 * 1024 * 1024 };

/* A folder with a log in it that is being written. */
struct scene {
	char *folder, *path;
	struct test_clock clock;
	struct stored_log *log;
	struct error err;
};

static void scene_free(struct scene *scene)
{
	stored_log_free(&scene->log);
	if (scene->folder && !folder_remove(scene->folder, NULL))
		TEST_FAIL("%s is left", scene->folder);
	text_free(&scene->folder);
	text_free(&scene->path);
	error_free(&scene->err);
}

static bool scene_set(struct scene *scene)
{
	test_clock_init(&scene->clock, 1000);
	if (!folder_make_temporary(NULL, "stored-log-", &scene->folder, &scene->err))
		return false;
	scene->path = memory_format("%s/log.zst", scene->folder);
	return stored_log_open(scene->path, &scene->clock.clock, &scene->log, &scene->err);
}

static void add_at(struct scene *scene, int64_t time_ms, const char *text)
{
	scene->clock.time_ms = time_ms;
	stored_log_add(scene->log, str_of(text));
}

/* "1000: 2 2500: 3" and the text; blocks make no difference. */
static bool read_all(const char *path, struct buf *out_text, struct buf *out_times, bool *out_cut,
	struct error *err)
{
	scoped(stored_log_reader_free) struct stored_log_reader *reader = NULL;
	scoped(stored_block_free) struct stored_block block = {0};
	int64_t time_ms = -1, size = 0;
	bool more = true;

	if (!stored_log_reader_open(path, &reader, err))
		return false;
	while (more) {
		if (!stored_log_read(reader, false, &block, &more, err))
			return false;
		for (size_t i = 0; more && i < block.time_count; i++) {
			if (block.times[i].time_ms != time_ms && size)
				buf_printf(out_times, "%lld: %lld ", (long long)time_ms,
					(long long)size);
			size = block.times[i].time_ms == time_ms ? size : 0;
			time_ms = block.times[i].time_ms;
			size += (int64_t)block.times[i].size;
		}
		if (more)
			buf_append_str(out_text, buf_str(&block.text));
	}
	if (size)
		buf_printf(out_times, "%lld: %lld", (long long)time_ms, (long long)size);
	*out_cut = stored_log_is_cut(reader);
	return true;
}

static void check_log(const char *path, const char *text, const char *times, bool cut)
{
	scoped(buf_free) struct buf got = {0}, got_times = {0};
	struct error err = {0};
	bool got_cut = false;

	CHECK_OK(read_all(path, &got, &got_times, &got_cut, &err));
	CHECK_TEXT(buf_text(&got), text);
	CHECK_TEXT(buf_text(&got_times), times);
	CHECK_INT(got_cut, cut);
	error_free(&err);
}

TEST(what_was_added_is_read_again_with_its_times)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(scene_set(&scene));
	add_at(&scene, 1000, "a\n");
	add_at(&scene, 2500, "bb");
	add_at(&scene, 2500, "b\n");
	add_at(&scene, 2400, "the clock was set back\n");
	add_at(&scene, 1790000000123, "c\n");
	CHECK_OK(stored_log_close(&scene.log, &err));
	check_log(scene.path, "a\nbbb\nthe clock was set back\nc\n",
		"1000: 2 2500: 27 1790000000123: 2", false);
}

TEST(an_empty_log_is_an_empty_file)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(scene_set(&scene));
	stored_log_add(scene.log, str_of(""));
	CHECK_OK(stored_log_close(&scene.log, &err));
	check_log(scene.path, "", "", false);
}

TEST(the_file_is_what_the_header_says_and_zstd_reads_it)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf file = {0};
	/* version, 1000 = 7 * 128 + 104, two bytes, frame, one pair: 0 ms later two bytes */
	static const unsigned char head[] = {0x5d, 0x2a, 0x4d, 0x18, 8, 0, 0, 0, 1, 0xe8, 7, 2};
	char text[8] = "";

	REQUIRE(scene_set(&scene));
	add_at(&scene, 1000, "a\n");
	CHECK_OK(stored_log_close(&scene.log, &err));
	REQUIRE(file_read(scene.path, BIG, &file, &err));
	REQUIRE(file.size > 16);
	CHECK(memcmp(file.data, head, sizeof(head)) == 0);
	CHECK_INT((unsigned char)file.data[12], file.size - 16);
	CHECK(memcmp(file.data + 13, "\1\0\2", 3) == 0);
	CHECK_INT(ZSTD_decompress(text, sizeof(text), file.data, file.size), 2);
	CHECK_TEXT(text, "a\n");
}

TEST(a_log_of_several_blocks_and_its_end)
{
	enum { LINES = 200000 };
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0}, times = {0}, got = {0}, tail = {0};
	bool cut;

	REQUIRE(scene_set(&scene));
	for (int i = 0; i < LINES; i++) {
		scoped(text_free) char *line = memory_format("line %d of a long log\n", i);

		buf_append_text(&text, line);
		add_at(&scene, 1000 + i / 1000, line);
	}
	CHECK_OK(stored_log_close(&scene.log, &err));
	REQUIRE(read_all(scene.path, &got, &times, &cut, &err));
	CHECK(str_equal(buf_str(&got), buf_str(&text)));
	CHECK(str_starts_with(buf_str(&times), "1000: 22890 1001: 24000 "));
	for (size_t limit = 1; limit < 2 * (size_t)text.size; limit *= 7) {
		size_t size = limit < text.size ? limit : text.size;

		buf_clear(&tail);
		CHECK_OK(stored_log_tail(scene.path, limit, &tail, &err));
		CHECK(str_equal(buf_str(&tail), (struct str){text.data + text.size - size, size}));
	}
}

TEST(a_log_that_is_cut_off_anywhere_is_read_up_to_there)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf block = {0}, two = {0};

	REQUIRE(scene_set(&scene));
	add_at(&scene, 1000, "one line\n");
	CHECK_OK(stored_log_close(&scene.log, &err));
	REQUIRE(file_read(scene.path, BIG, &block, &err));
	buf_append_str(&two, buf_str(&block));
	buf_append_str(&two, buf_str(&block));
	for (size_t size = 0; size <= two.size; size++) {
		size_t whole = size / block.size;

		REQUIRE(file_write(scene.path, (struct str){two.data, size}, 0600, false, &err));
		check_log(scene.path,
			whole == 2   ? "one line\none line\n"
			: whole == 1 ? "one line\n"
				     : "",
			whole == 2   ? "1000: 18"
			: whole == 1 ? "1000: 9"
				     : "",
			size % block.size != 0);
	}
}

TEST(a_damaged_log_says_where)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf file = {0}, text = {0}, times = {0};
	bool cut;

	REQUIRE(scene_set(&scene));
	add_at(&scene, 1000, "some line of a log\n");
	CHECK_OK(stored_log_close(&scene.log, &err));
	REQUIRE(file_read(scene.path, BIG, &file, &err));
	file.data[file.size - 1] ^= 1; /* of the checksum */
	REQUIRE(file_write(scene.path, buf_str(&file), 0600, false, &err));
	CHECK(!read_all(scene.path, &text, &times, &cut, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "damaged at byte 0");
	error_free(&err);
	REQUIRE(file_write(scene.path, str_of("not a log at all"), 0600, false, &err));
	CHECK(!read_all(scene.path, &text, &times, &cut, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "damaged at byte 0");
	error_free(&err);
}

/* The writer is silent and still open. */
TEST(what_was_added_is_there_a_moment_later)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(scene_set(&scene));
	add_at(&scene, 1000, "a prompt without a line end: ");
	for (int i = 0; i < 1000; i++) {
		int64_t size = 0;

		REQUIRE(file_size(scene.path, &size, &err));
		if (size)
			break;
		clock_sleep(&system_clock, 10);
	}
	check_log(scene.path, "a prompt without a line end: ", "1000: 29", false);
	add_at(&scene, 1000, "yes\n");
	CHECK_OK(stored_log_close(&scene.log, &err));
	check_log(scene.path, "a prompt without a line end: yes\n", "1000: 33", false);
}

TEST(a_disk_that_is_full_is_an_error_at_the_end)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(error_free) struct error err = {0};
	const struct rlimit none = {8, RLIM_INFINITY};
	struct rlimit before;

	REQUIRE(scene_set(&scene));
	REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
	for (int i = 0; i < 5; i++) {
		scoped(text_free) char *block = memory_new(STORED_LOG_BLOCK);

		stored_log_add(scene.log, (struct str){block, STORED_LOG_BLOCK});
	}
	bool closed = stored_log_close(&scene.log, &err);

	setrlimit(RLIMIT_FSIZE, &before);
	CHECK(!closed);
	CHECK(err.message && strstr(err.message, scene.path));
}

TEST_MAIN()
