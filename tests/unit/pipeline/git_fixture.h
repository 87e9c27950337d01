/*
 * git_fixture.h - repositories for tests, made by the real git.
 */
#ifndef TESTS_UNIT_PIPELINE_GIT_FIXTURE_H
#define TESTS_UNIT_PIPELINE_GIT_FIXTURE_H

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

struct git_fixture {
	char *folder; /* owned: private, removed by git_fixture_free */
	char *work;   /* owned: a work tree on branch main, without a commit */
};

/* Runs git in the work tree; arguments end with NULL. */
__attribute__((sentinel, unused)) static bool git_run(const struct git_fixture *fixture, ...)
{
	const char *argv[32] = {"git", "-C", fixture->work, "-c", "user.name=Test", "-c",
		"user.email=test@example.org", "-c", "protocol.file.allow=always"};
	size_t count = 9;
	va_list args;
	int status = 1;

	va_start(args, fixture);
	while (count + 1 < countof(argv) && (argv[count] = va_arg(args, const char *)))
		count++;
	va_end(args);
	pid_t pid = fork();

	if (pid == 0) {
		setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
		setenv("GIT_CONFIG_SYSTEM", "/dev/null", 1);
		/* execvp() changes nothing; its type is older than const. */
		execvp("git", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

__attribute__((unused)) static bool git_fixture_init(struct git_fixture *fixture)
{
	if (!folder_make_temporary(NULL, "git", &fixture->folder, NULL))
		return false;
	fixture->work = path_join(fixture->folder, "work");
	return folder_make(fixture->work, 0755, NULL) &&
	       git_run(fixture, "init", "-q", "-b", "main", ".", NULL);
}

__attribute__((unused)) static void git_fixture_free(struct git_fixture *fixture)
{
	if (fixture->folder && !folder_remove(fixture->folder, NULL))
		printf("# \"%s\" is left behind\n", fixture->folder);
	free(fixture->folder);
	free(fixture->work);
	*fixture = (struct git_fixture){0};
}

/* Writes a file of the work tree. */
__attribute__((unused)) static void git_put(const struct git_fixture *fixture, const char *name,
	const char *content)
{
	scoped(text_free) char *path = path_join(fixture->work, name);
	scoped(text_free) char *parent = path_parent(path);

	if (!folder_make(parent, 0755, NULL) ||
		!file_write(path, str_of(content), 0644, false, NULL))
		TEST_FAIL("cannot write %s", path);
}

/* Commits everything. */
__attribute__((unused)) static bool git_commit_all(const struct git_fixture *fixture,
	const char *message)
{
	return git_run(fixture, "add", "-A", ".", NULL) &&
	       git_run(fixture, "commit", "-q", "--allow-empty", "-m", message, NULL);
}

#endif
