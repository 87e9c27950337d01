#include "tests/test.h"

#include "base/limits.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(sizes_are_numbers_and_units)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -1: no size */
	} cases[] = {{"1KiB", 1024}, {"512MiB", 536870912}, {"4GiB", 4294967296},
		{"1TiB", 1099511627776}, {"8388607TiB", 9223370937343148032}, {"8388608TiB", -1},
		{"0MiB", -1}, {"-1MiB", -1}, {"1.5GiB", -1}, {"10", -1}, {"", -1}, {"GiB", -1},
		{"4GB", -1}, {"4gib", -1}, {"4 GiB", -1}, {"4GiB ", -1},
		{"99999999999999999999KiB", -1}};

	for (size_t i = 0; i < countof(cases); i++) {
		int64_t bytes = -1;
		bool good = size_parse(str_of(cases[i].text), &bytes);

		CHECK(good == (cases[i].bytes != -1));
		CHECK_INT(bytes, cases[i].bytes);
	}
}

TEST(sizes_are_said_as_people_say_them)
{
	char text[SIZE_TEXT_SIZE];

	size_to_text(512 << 20, text);
	CHECK_TEXT(text, "512 MiB");
	size_to_text((int64_t)5 << 29, text);
	CHECK_TEXT(text, "2.5 GiB");
	size_to_text(1000, text);
	CHECK_TEXT(text, "1.0 KiB");
	size_to_text((int64_t)5000 << 40, text);
	CHECK_TEXT(text, "5000 TiB");
}

TEST(what_nobody_said_has_an_answer_and_what_somebody_said_stays)
{
	struct limits usual = {0},
		      said = {.memory_bytes = 1 << 20, .processes = 7, .disk_bytes = 9};

	limits_complete(&usual);
	limits_complete(&said);
	CHECK_INT(usual.memory_bytes, 0);
	CHECK_INT(usual.processes, 0);
	CHECK_INT(usual.disk_bytes, 10737418240);
	CHECK_INT(usual.cpus, 0);
	CHECK_INT(said.memory_bytes, 1 << 20);
	CHECK_INT(said.processes, 7);
	CHECK_INT(said.disk_bytes, 9);
}

/* In a child: limits cannot be raised again. */
TEST(a_limit_is_lowered_and_never_raised)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		const struct limits small = {.disk_bytes = 4096}, large = {.disk_bytes = 8192};
		struct rlimit files, cores;

		limits_set(&small, -1);
		limits_set(&large, -1);
		getrlimit(RLIMIT_FSIZE, &files);
		getrlimit(RLIMIT_CORE, &cores);
		_exit(files.rlim_max == 4096 && files.rlim_cur == 4096 && cores.rlim_max == 0 ? 0
											      : 1);
	}
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
}

TEST(our_own_processes_are_counted)
{
	CHECK(limits_count_processes() >= 1);
}

TEST_MAIN()
