#include "tests/test.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/disk_watch.h"

#include <fcntl.h>
#include <unistd.h>

static bool fill(const char *folder, const char *name, off_t size)
{
	scoped(text_free) char *path = path_join(folder, name);
	scoped(descriptor_close) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && posix_fallocate(fd, 0, size) == 0;
}

/* The next question that looks: sooner ones are answered from memory. */
static bool ask(struct disk_watch *watch, char **out_why)
{
	watch->asked_ms -= DISK_WATCH_MS;
	return disk_watch_is_over(watch, out_why);
}

TEST(what_is_over_the_limit_is_noticed_and_named)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL, *why = NULL;
	struct disk_watch watch;

	REQUIRE_OK(folder_make_temporary(NULL, "disk-watch-test-", &folder, &err));
	disk_watch_start(&watch, folder, 8 << 20);
	CHECK(!ask(&watch, &why));
	REQUIRE(fill(folder, "a", 4 << 20));
	watch.walked_ms -= watch.pause_ms; /* whatever others have freed meanwhile */
	CHECK(!ask(&watch, &why));
	REQUIRE(fill(folder, "b", 5 << 20));
	watch.walked_ms -= watch.pause_ms;
	CHECK(ask(&watch, &why));
	CHECK(why && strstr(why, "8 MiB"));
	CHECK_OK(folder_remove(folder, &err));
}

TEST(names_of_one_file_count_once)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL, *why = NULL;
	struct disk_watch watch;

	REQUIRE_OK(folder_make_temporary(NULL, "disk-watch-test-", &folder, &err));
	scoped(text_free) char *first = path_join(folder, "a");

	disk_watch_start(&watch, folder, 8 << 20);
	REQUIRE(fill(folder, "a", 5 << 20));
	for (int i = 0; i < 4; i++) {
		scoped(text_free) char *other = memory_format("%s/%d", folder, i);

		REQUIRE(link(first, other) == 0);
	}
	watch.walked_ms -= watch.pause_ms;
	CHECK(!ask(&watch, &why));
	CHECK(watch.used_bytes >= 5 << 20 && watch.used_bytes < 6 << 20);
	CHECK_OK(folder_remove(folder, &err));
}

TEST(a_file_system_that_is_nearly_full_is_noticed)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL, *why = NULL;
	struct disk_watch watch;

	REQUIRE_OK(folder_make_temporary(NULL, "disk-watch-test-", &folder, &err));
	disk_watch_start(&watch, folder, INT64_MAX);
	CHECK(watch.limit_bytes < INT64_MAX); /* nine tenths of what is free */
	watch.reserve_bytes = INT64_MAX;
	CHECK(ask(&watch, &why));
	CHECK(why && strstr(why, folder));
	CHECK_OK(folder_remove(folder, &err));
}

TEST_MAIN()
