#include "tests/test.h"
#include "tests/unit/deployers/local/no_threads.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/blob_writer.h"

#include <fcntl.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct writers *writers;
	char *folder;
	int settled, ready;
	bool failed;
};

static void fixture_open(struct fixture *f)
{
	struct error err = {0};

	*f = (struct fixture){0};
	if (!loop_new(&f->loop, &err) || !folder_make_temporary(NULL, "writer", &f->folder, &err))
		abort();
	f->writers = writers_new(f->loop);
}

static void fixture_close(struct fixture *f)
{
	struct error err = {0};

	writers_free(&f->writers);
	loop_free(&f->loop);
	if (!folder_remove(f->folder, &err))
		abort();
	free(f->folder);
}

static void on_settled(void *context, const struct error *err)
{
	struct fixture *f = context;

	f->settled++;
	f->failed = err != NULL;
}

static void on_ready(void *context)
{
	struct fixture *f = context;

	f->ready++;
}

static void settle(struct fixture *f, struct blob_writer *writer)
{
	int before = f->settled;

	blob_writer_settle(writer, on_settled, f);
	while (f->settled == before)
		if (!loop_turn(f->loop, -1, NULL))
			abort();
}

static int new_file(struct fixture *f, const char *name)
{
	scoped(text_free) char *path = path_join(f->folder, name);

	return open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
}

/* Bytes that differ from place to place. */
static struct buf bytes_of(size_t size)
{
	struct buf bytes = {0};
	uint32_t state = 1;

	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		buf_append_char(&bytes, (char)(state >> 24));
	}
	return bytes;
}

/* The digest the writer gives must be that of the bytes, and the file must hold them. */
static void check_written(struct fixture *f, const char *file, struct blob_writer *writer,
	struct str bytes, enum digest_kind kind)
{
	scoped(text_free) char *path = path_join(f->folder, file);
	scoped(buf_free) struct buf found = {0};
	char name[DIGEST_NAME_SIZE], expected[DIGEST_NAME_SIZE];
	struct error err = {0};

	blob_writer_name(writer, name);
	digest_name_of(kind, bytes, expected);
	CHECK_TEXT(name, expected);
	REQUIRE_OK(file_read(path, (size_t)64 << 20, &found, &err));
	CHECK(str_equal(buf_str(&found), bytes));
}

TEST(what_is_taken_is_written_and_hashed_whatever_its_size)
{
	/* around a block of 256 KiB and around what is handled without a thread */
	static const size_t sizes[] = {0, 1, 65535, 65536, 262143, 262144, 262145, 1000000,
		9000001};
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	for (size_t i = 0; i < countof(sizes); i++) {
		scoped(buf_free) struct buf bytes = bytes_of(sizes[i]);
		scoped(text_free) char *file = memory_format("f%zu", i);
		scoped(descriptor_close) int fd = new_file(&f, file);
		scoped(blob_writer_free) struct blob_writer *writer = NULL;
		struct error err = {0};

		REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 0, &writer, &err));
		for (size_t at = 0; at < sizes[i]; at += 77777)
			blob_writer_take(writer, bytes.data + at,
				sizes[i] - at < 77777 ? sizes[i] - at : 77777);
		settle(&f, writer);
		CHECK(!f.failed);
		check_written(&f, file, writer, buf_str(&bytes), DIGEST_SHA256);
	}
}

TEST(twenty_blobs_at_once_do_not_mix)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(2000000);
	struct blob_writer *writers[20] = {NULL};
	int fds[20];
	struct error err = {0};

	fixture_open(&f);
	for (size_t i = 0; i < 20; i++) {
		scoped(text_free) char *file = memory_format("f%zu", i);

		fds[i] = new_file(&f, file);
		REQUIRE_OK(blob_writer_new(f.writers, fds[i], DIGEST_SHA256, 0, &writers[i], &err));
	}
	for (size_t at = 0; at < 1000000; at += 100000)
		for (size_t i = 0; i < 20; i++)
			blob_writer_take(writers[i], bytes.data + i * 1000 + at, 100000);
	for (size_t i = 0; i < 20; i++) {
		scoped(text_free) char *file = memory_format("f%zu", i);

		settle(&f, writers[i]);
		check_written(&f, file, writers[i], (struct str){bytes.data + i * 1000, 1000000},
			DIGEST_SHA256);
		blob_writer_free(&writers[i]);
		close(fds[i]);
	}
}

TEST(bytes_that_are_there_already_are_hashed_first_and_another_kind_anew)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(700000);
	scoped(blob_writer_free) struct blob_writer *writer = NULL;
	struct error err = {0};

	fixture_open(&f);
	scoped(descriptor_close) int fd = new_file(&f, "f");

	REQUIRE(write(fd, bytes.data, 400000) == 400000);
	REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 400000, &writer, &err));
	blob_writer_take(writer, bytes.data + 400000, 300000);
	settle(&f, writer);
	blob_writer_rehash(writer, DIGEST_SHA512);
	settle(&f, writer);
	CHECK(!f.failed);
	check_written(&f, "f", writer, buf_str(&bytes), DIGEST_SHA512);
}

TEST(a_full_disk_is_told_and_the_rest_is_dropped)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(3000000);
	scoped(descriptor_close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	scoped(blob_writer_free) struct blob_writer *writer = NULL;
	struct error err = {0};

	fixture_open(&f);
	REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 0, &writer, &err));
	blob_writer_take(writer, bytes.data, bytes.size);
	settle(&f, writer);
	CHECK(f.failed);
	blob_writer_take(writer, bytes.data, 10);
	settle(&f, writer);
	CHECK(f.failed);
	blob_writer_free(&writer);
}

TEST(who_is_behind_is_called_when_it_may_go_on)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(200000);
	scoped(blob_writer_free) struct blob_writer *writer = NULL;
	struct error err = {0};
	size_t taken = 0;

	fixture_open(&f);
	scoped(descriptor_close) int fd = new_file(&f, "f");

	REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 0, &writer, &err));
	/* the threads may be faster for a while, but not than memcpy */
	while (!blob_writer_is_behind(writer) && taken < (size_t)2000 * 200000) {
		blob_writer_take(writer, bytes.data, bytes.size);
		taken += bytes.size;
	}
	blob_writer_when_ready(writer, on_ready, &f);
	while (!f.ready)
		REQUIRE(loop_turn(f.loop, -1, NULL));
	CHECK(!blob_writer_is_behind(writer));
	settle(&f, writer);
	CHECK_INT(f.ready, 1);
	CHECK_INT(lseek(fd, 0, SEEK_END), (int64_t)taken);
}

/* Freed with blocks in the threads' hands, over and over: the sanitizers judge. */
TEST(a_writer_may_end_at_any_time)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(1000000);
	struct error err = {0};

	fixture_open(&f);
	for (size_t i = 0; i < 50; i++) {
		scoped(descriptor_close) int fd = new_file(&f, "f");
		struct blob_writer *writer = NULL;

		REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 0, &writer, &err));
		blob_writer_take(writer, bytes.data, bytes.size - i * 10000);
		blob_writer_when_ready(writer, on_ready, &f);
		if (i % 2)
			blob_writer_settle(writer, on_settled, &f);
		if (i % 3 == 0)
			REQUIRE(loop_turn(f.loop, 0, NULL));
		blob_writer_free(&writer);
	}
}

TEST(who_waits_is_told_when_it_is_cancelled)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(3000000);
	scoped(blob_writer_free) struct blob_writer *writer = NULL;
	struct error err = {0};

	fixture_open(&f);
	scoped(descriptor_close) int fd = new_file(&f, "f");

	REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 0, &writer, &err));
	blob_writer_take(writer, bytes.data, bytes.size);
	blob_writer_settle(writer, on_settled, &f);
	blob_writer_cancel(writer);
	CHECK_INT(f.settled, 1);
	blob_writer_cancel(writer);
	CHECK_INT(f.settled, 1);
}

/* Slower, but nothing is refused: the loop does it, also what was there before. */
TEST(without_threads_the_loop_writes_and_hashes)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(3000000);
	scoped(blob_writer_free) struct blob_writer *writer = NULL;
	struct error err = {0};

	fixture_open(&f);
	scoped(descriptor_close) int fd = new_file(&f, "f");

	no_threads = true;
	REQUIRE(write(fd, bytes.data, 400000) == 400000);
	REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 400000, &writer, &err));
	blob_writer_take(writer, bytes.data + 400000, 2600000);
	CHECK(!blob_writer_is_behind(writer));
	settle(&f, writer);
	blob_writer_rehash(writer, DIGEST_SHA512);
	settle(&f, writer);
	no_threads = false;
	CHECK(!f.failed);
	check_written(&f, "f", writer, buf_str(&bytes), DIGEST_SHA512);
}

TEST(without_threads_a_full_disk_is_told_too)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf bytes = bytes_of(1000000);
	scoped(descriptor_close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	scoped(blob_writer_free) struct blob_writer *writer = NULL;
	struct error err = {0};

	fixture_open(&f);
	no_threads = true;
	REQUIRE_OK(blob_writer_new(f.writers, fd, DIGEST_SHA256, 0, &writer, &err));
	blob_writer_take(writer, bytes.data, bytes.size);
	settle(&f, writer);
	no_threads = false;
	CHECK(f.failed);
}

TEST_MAIN()
