#include "tests/unit/pipeline/git_fixture.h"

#include "pipeline/source/repository.h"

#include <sys/stat.h>

struct opened {
	struct git_fixture git;
	struct repository *repository;
	struct snapshot *from, *to;
};

static void opened_free(struct opened *opened)
{
	snapshot_free(&opened->from);
	snapshot_free(&opened->to);
	repository_free(&opened->repository);
	git_fixture_free(&opened->git);
}

static bool open_at(struct opened *opened, const char *rev, struct snapshot **out)
{
	scoped(commit_free) struct commit commit = {0};
	scoped(error_free) struct error err = {0};

	if (repository_resolve(opened->repository, rev, &commit, &err) &&
		snapshot_open(opened->repository, commit.id, out, &err))
		return true;
	printf("# %s\n", err.message);
	return false;
}

/* Two commits: services/{a,b}, a link and a program; then one file changed, one added, one gone. */
static bool setup(struct opened *opened)
{
	struct git_fixture *git = &opened->git;

	if (!git_fixture_init(git))
		return false;
	git_put(git, "services/a/main.c", "int a;\n");
	git_put(git, "services/a/deep/er/x.c", "int x;\n");
	git_put(git, "services/b/main.c", "int b;\n");
	git_put(git, "services/b/run.sh", "#!/bin/sh\n");
	git_put(git, "readme", "hello\n");
	scoped(text_free) char *program = path_join(git->work, "services/b/run.sh");
	scoped(text_free) char *link = path_join(git->work, "services/a/link");

	if (chmod(program, 0755) != 0 || symlink("../../readme", link) != 0 ||
		!git_commit_all(git, "first commit\n\nwith a body"))
		return false;
	git_put(git, "services/a/deep/er/x.c", "int y;\n");
	git_put(git, "services/new/one.c", "int n;\n");
	return git_run(git, "rm", "-q", "services/b/main.c", NULL) &&
	       git_commit_all(git, "second") &&
	       repository_open(git->work, &opened->repository, NULL) &&
	       open_at(opened, "HEAD~1", &opened->from) && open_at(opened, "main", &opened->to);
}

TEST(a_commit_is_found_by_branch_id_and_beginning)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(commit_free) struct commit head = {0}, again = {0}, first = {0};

	REQUIRE(setup(&opened));
	REQUIRE_OK(repository_resolve(opened.repository, "main", &head, &err));
	CHECK_INT(strlen(head.id), 40);
	CHECK_TEXT(head.subject, "second");
	CHECK_TEXT(head.author, "Test <test@example.org>");
	char beginning[9] = "";

	memcpy(beginning, head.id, 8);
	REQUIRE_OK(repository_resolve(opened.repository, beginning, &again, &err));
	CHECK_TEXT(again.id, head.id);
	REQUIRE_OK(repository_resolve(opened.repository, head.parent, &first, &err));
	CHECK_TEXT(first.subject, "first commit");
	CHECK_TEXT(first.parent, "");
}

TEST(an_absent_commit_is_named_with_the_nearest_branch)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	struct commit commit = {0};

	REQUIRE(setup(&opened));
	CHECK(!repository_resolve(opened.repository, "mian", &commit, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "there is no commit \"mian\"");
	CHECK_TEXT(err.next, "did you mean \"main\"?");
	error_free(&err);
	CHECK_FAILS(repository_resolve(opened.repository,
			    "0123456789012345678901234567890123456789", &commit, &err),
		ERROR_NOT_FOUND);
	CHECK_FAILS(repository_resolve(opened.repository, "", &commit, &err), ERROR_NOT_FOUND);
	/* a file is no commit */
	CHECK_FAILS(repository_resolve(opened.repository, "main:readme", &commit, &err),
		ERROR_NOT_FOUND);
}

TEST(a_folder_without_repository_is_refused_with_advice)
{
	scoped(error_free) struct error err = {0};
	struct repository *repository = NULL;

	CHECK(!repository_open("/proc", &repository, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.next, "git init");
}

TEST(a_repository_without_commits_says_so)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *branch = NULL;
	struct commit commit = {0};

	REQUIRE(git_fixture_init(&opened.git));
	REQUIRE_OK(repository_open(opened.git.work, &opened.repository, &err));
	CHECK_FAILS(repository_resolve(opened.repository, "HEAD", &commit, &err), ERROR_NOT_FOUND);
	CHECK_OK(repository_head_branch(opened.repository, &branch, &err));
	CHECK_TEXT(branch, "main");
}

TEST(changes_are_the_paths_that_git_names)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings paths = {0}, all = {0}, none = {0};

	REQUIRE(setup(&opened));
	CHECK_OK(snapshot_changes(opened.from, opened.to, &paths, &err));
	REQUIRE(paths.count == 3);
	CHECK_TEXT(paths.items[0], "services/a/deep/er/x.c");
	CHECK_TEXT(paths.items[1], "services/b/main.c");
	CHECK_TEXT(paths.items[2], "services/new/one.c");
	CHECK_OK(snapshot_changes(NULL, opened.to, &all, &err));
	/* readme, a/deep/er/x.c, a/link, a/main.c, b/run.sh, new/one.c */
	CHECK_INT(all.count, 6);
	CHECK_OK(snapshot_changes(opened.to, opened.to, &none, &err));
	CHECK_INT(none.count, 0);
}

TEST(a_file_that_becomes_a_folder_is_both)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings paths = {0};
	struct git_fixture *git = &opened.git;

	REQUIRE(git_fixture_init(git));
	git_put(git, "x", "file\n");
	git_put(git, "x.c", "same\n");
	REQUIRE(git_commit_all(git, "file"));
	REQUIRE(git_run(git, "rm", "-q", "x", NULL));
	git_put(git, "x/y", "folder\n");
	REQUIRE(git_commit_all(git, "folder"));
	REQUIRE_OK(repository_open(git->work, &opened.repository, &err));
	REQUIRE(open_at(&opened, "HEAD~1", &opened.from) && open_at(&opened, "HEAD", &opened.to));
	CHECK_OK(snapshot_changes(opened.from, opened.to, &paths, &err));
	REQUIRE(paths.count == 2);
	CHECK_TEXT(paths.items[0], "x");
	CHECK_TEXT(paths.items[1], "x/y");
}

TEST(what_stands_at_a_path_has_its_kind_and_id)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	enum entry_kind kind = ENTRY_NONE;
	char before[GIT_ID_SIZE] = "", after[GIT_ID_SIZE] = "";

	REQUIRE(setup(&opened));
	CHECK_OK(snapshot_find(opened.to, "services/b/run.sh", &kind, NULL, &err));
	CHECK_INT(kind, ENTRY_PROGRAM);
	CHECK_OK(snapshot_find(opened.to, "services/a/link", &kind, NULL, &err));
	CHECK_INT(kind, ENTRY_LINK);
	CHECK_OK(snapshot_find(opened.to, "services/none/x", &kind, NULL, &err));
	CHECK_INT(kind, ENTRY_NONE);
	CHECK_OK(snapshot_find(opened.to, "readme/x", &kind, NULL, &err));
	CHECK_INT(kind, ENTRY_NONE);
	CHECK_OK(snapshot_find(opened.to, ".", &kind, NULL, &err));
	CHECK_INT(kind, ENTRY_FOLDER);
	/* a changed, its main.c did not */
	CHECK_OK(snapshot_find(opened.from, "services/a", &kind, before, &err));
	CHECK_OK(snapshot_find(opened.to, "services/a", &kind, after, &err));
	CHECK_INT(kind, ENTRY_FOLDER);
	CHECK(strcmp(before, after) != 0);
	CHECK_OK(snapshot_find(opened.from, "services/a/main.c", &kind, before, &err));
	CHECK_OK(snapshot_find(opened.to, "services/a/main.c", &kind, after, &err));
	CHECK_TEXT(before, after);
	/* the id Git gives "hello\n": git hash-object */
	CHECK_OK(snapshot_find(opened.to, "readme", &kind, after, &err));
	CHECK_TEXT(after, "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(a_file_is_read_up_to_a_limit)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};

	REQUIRE(setup(&opened));
	CHECK_OK(snapshot_read(opened.to, "readme", 6, &text, &err));
	CHECK_TEXT(buf_text(&text), "hello\n");
	CHECK_FAILS(snapshot_read(opened.to, "readme", 5, &text, &err), ERROR_LIMIT);
	CHECK_FAILS(snapshot_read(opened.to, "nothing", 5, &text, &err), ERROR_NOT_FOUND);
	CHECK_FAILS(snapshot_read(opened.to, "services", 5, &text, &err), ERROR_NOT_FOUND);
}

static void check_file(const char *folder, const char *name, const char *content, mode_t mode)
{
	scoped(text_free) char *path = path_join(folder, name);
	scoped(buf_free) struct buf text = {0};
	scoped(error_free) struct error err = {0};
	struct stat status = {0};

	CHECK_OK(file_read(path, 1000, &text, &err));
	CHECK_TEXT(buf_text(&text), content);
	CHECK(stat(path, &status) == 0);
	CHECK_INT(status.st_mode & 0777, mode);
}

TEST(a_checkout_holds_the_paths_asked_for_and_nothing_else)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings names = {0};
	const char *paths[] = {"services/b", "services/b/run.sh", "readme", "services/b"};
	int64_t files = 0;

	REQUIRE(setup(&opened));
	scoped(text_free) char *folder = path_join(opened.git.folder, "out");
	scoped(text_free) char *services = path_join(folder, "services");
	mode_t before = umask(077);

	CHECK_OK(snapshot_checkout(opened.to, paths, countof(paths), folder, &files, &err));
	umask(before);
	CHECK_INT(files, 2);
	check_file(folder, "readme", "hello\n", 0644);
	check_file(folder, "services/b/run.sh", "#!/bin/sh\n", 0755);
	CHECK_OK(folder_list(services, &names, &err));
	CHECK_INT(names.count, 1);
}

TEST(a_checkout_of_everything_keeps_links)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	const char *paths[] = {"services/a", "."};
	int64_t files = 0;
	char target[64] = "";

	REQUIRE(setup(&opened));
	scoped(text_free) char *folder = path_join(opened.git.folder, "out");
	scoped(text_free) char *link = path_join(folder, "services/a/link");

	CHECK_OK(snapshot_checkout(opened.to, paths, countof(paths), folder, &files, &err));
	CHECK_INT(files, 6);
	CHECK(readlink(link, target, sizeof(target) - 1) > 0);
	CHECK_TEXT(target, "../../readme");
}

TEST(a_checkout_of_what_is_not_there_names_it)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	const char *paths[] = {"services/zzz"};

	REQUIRE(setup(&opened));
	scoped(text_free) char *folder = path_join(opened.git.folder, "out");

	CHECK(!snapshot_checkout(opened.to, paths, 1, folder, NULL, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "has no \"services/zzz\"");
}

TEST(a_checkout_never_writes_through_a_link)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	const char *paths[] = {"services/b"};

	REQUIRE(setup(&opened));
	scoped(text_free) char *folder = path_join(opened.git.folder, "out");
	scoped(text_free) char *outside = path_join(opened.git.folder, "outside");
	scoped(text_free) char *link = path_join(folder, "services");
	scoped(text_free) char *escaped = path_join(outside, "b");

	REQUIRE_OK(folder_make(folder, 0755, &err));
	REQUIRE_OK(folder_make(outside, 0755, &err));
	REQUIRE(symlink(outside, link) == 0);
	CHECK(!snapshot_checkout(opened.to, paths, 1, folder, NULL, &err));
	CHECK(!file_exists(escaped));
}

TEST(branches_are_listed_also_when_packed)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(branches_free) struct branches branches = {0};

	REQUIRE(setup(&opened));
	REQUIRE(git_run(&opened.git, "branch", "release/1", "HEAD~1", NULL));
	REQUIRE(git_run(&opened.git, "pack-refs", "--all", NULL));
	CHECK_OK(repository_branches(opened.repository, &branches, &err));
	REQUIRE(branches.count == 2);
	CHECK_TEXT(branches.items[0].name, "main");
	CHECK_TEXT(branches.items[0].id, snapshot_commit(opened.to));
	CHECK_TEXT(branches.items[1].name, "release/1");
	CHECK_TEXT(branches.items[1].id, snapshot_commit(opened.from));
}

TEST(ancestors_are_told_from_others)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	bool is = false;

	REQUIRE(setup(&opened));
	const char *old = snapshot_commit(opened.from), *new = snapshot_commit(opened.to);

	CHECK_OK(repository_is_ancestor(opened.repository, old, new, &is, &err));
	CHECK(is);
	CHECK_OK(repository_is_ancestor(opened.repository, new, old, &is, &err));
	CHECK(!is);
	CHECK_OK(repository_is_ancestor(opened.repository, new, new, &is, &err));
	CHECK(is);
}

TEST(a_mirror_follows_its_origin)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(repository_free) struct repository *mirror = NULL;
	scoped(branches_free) struct branches branches = {0};
	bool changed = false;

	REQUIRE(setup(&opened));
	scoped(text_free) char *folder = path_join(opened.git.folder, "mirror.git");
	scoped(text_free) char *url = memory_format("file://%s", opened.git.work);

	REQUIRE_OK(repository_mirror(url, folder, &changed, &err));
	CHECK(changed);
	REQUIRE_OK(repository_mirror(url, folder, &changed, &err));
	CHECK(!changed);
	git_put(&opened.git, "more", "1\n");
	REQUIRE(git_commit_all(&opened.git, "third"));
	REQUIRE_OK(repository_mirror(url, folder, &changed, &err));
	CHECK(changed);
	REQUIRE_OK(repository_open(folder, &mirror, &err));
	CHECK(repository_work_folder(mirror) == NULL);
	CHECK_OK(repository_branches(mirror, &branches, &err));
	CHECK_INT(branches.count, 1);
}

TEST(errors_name_a_place_without_who_asks)
{
	static const struct {
		const char *place, *shown;
	} rows[] = {
		/* RFC 3986, 3.2: the user information ends at the authority's last "@" */
		{"https://ann:secret@host.example/x.git", "\"https://host.example/x.git\""},
		{"https://secret@host.example", "\"https://host.example\""},
		{"https://ann:s@cret@host.example:8443/x", "\"https://host.example:8443/x\""},
		{"ssh://git@host.example/x", "\"ssh://host.example/x\""},
		/* an "@" behind the authority belongs to the path */
		{"https://host.example/a@b/x", "\"https://host.example/a@b/x\""},
		{"/somewhere/a@b", "\"/somewhere/a@b\""},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(error_free) struct error err = {0};
		struct repository *repository = NULL;

		CHECK(!repository_open(rows[i].place, &repository, &err));
		CHECK_INT(err.kind, ERROR_NOT_FOUND);
		CHECK_CONTAINS(err.message, rows[i].shown);
		CHECK(strstr(err.message, "cret") == NULL);
	}
}

TEST(an_origin_that_is_not_there_is_named_without_its_password)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	bool changed = false;

	REQUIRE(git_fixture_init(&opened.git));
	scoped(text_free) char *folder = path_join(opened.git.folder, "mirror.git");

	/* nothing listens on port 1 of the loopback address */
	CHECK(!repository_mirror("http://me:hunter2@127.0.0.1:1/x.git", folder, &changed, &err));
	CHECK_CONTAINS(err.message, "http://127.0.0.1:1/x.git");
	CHECK(!strstr(err.message, "hunter2") && !strstr(err.next, "hunter2"));
}

TEST_MAIN()
