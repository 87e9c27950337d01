#include "builders/executor/reads.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "tests/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A checkout: base/x.h, base/y.h, lib/x.h, svc/main.c; what a build does to it is done by hand. */
struct checkout {
	char *root, *source;
	struct reads reads;
};

static void checkout_free(struct checkout *checkout)
{
	struct error err = {0};

	if (!folder_remove(checkout->root, &err))
		error_ignore(&err, "the test's folder goes with the run");
	reads_free(&checkout->reads);
	text_free(&checkout->root);
	text_free(&checkout->source);
}

static char *in(const struct checkout *checkout, const char *name)
{
	return path_join(checkout->source, name);
}

static void put(const struct checkout *checkout, const char *name, const char *text)
{
	scoped(text_free) char *path = in(checkout, name), *parent = path_parent(path);
	struct error err = {0};

	CHECK_OK(folder_make(parent, 0755, &err));
	CHECK_OK(file_write(path, str_of(text), 0644, false, &err));
}

static void get(const struct checkout *checkout, const char *name)
{
	scoped(text_free) char *path = in(checkout, name);
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	CHECK_OK(file_read(path, 1 << 16, &text, &err));
}

static struct checkout checkout_make(const char *link)
{
	struct checkout checkout = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "reads-", &checkout.root, &err));
	checkout.source = path_join(checkout.root, "src");
	put(&checkout, "base/x.h", "1");
	put(&checkout, "base/y.h", "1");
	put(&checkout, "lib/x.h", "1");
	put(&checkout, "svc/main.c", "1");
	if (link) {
		scoped(text_free) char *path = in(&checkout, link);

		CHECK(symlink("x.h", path) == 0);
	}
	CHECK_OK(reads_mark(checkout.source, &checkout.reads, &err));
	return checkout;
}

/* What was read, joined with "|", or "? why". */
static void check_reads(const struct checkout *checkout, const char *expected)
{
	scoped(strings_free) struct strings read = {0};
	scoped(buf_free) struct buf joined = {0};
	scoped(text_free) char *unknown = NULL;
	struct error err = {0};

	CHECK_OK(reads_collect(&checkout->reads, checkout->source, "/codebuild/src", &read,
		&unknown, &err));
	if (unknown)
		buf_printf(&joined, "? %s", unknown);
	for (size_t i = 0; i < read.count; i++)
		buf_printf(&joined, "%s%s", i ? "|" : "", read.items[i]);
	CHECK_TEXT(buf_text(&joined), expected);
}

TEST(what_was_opened_and_read_is_told)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);

	get(&checkout, "svc/main.c");
	get(&checkout, "base/x.h");
	put(&checkout, "svc/main.d", "main.o: main.c ../base/x.h\n");
	check_reads(&checkout, "base/x.h|svc/main.c");
}

TEST(a_script_that_reads_is_seen_although_no_compiler_tells)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);

	get(&checkout, "svc/main.c");
	get(&checkout, "base/y.h");
	put(&checkout, "main.d", "main.o: svc/main.c\n");
	check_reads(&checkout, "base/y.h|svc/main.c");
}

/* The compiler's folder is not known: "x.h" may be either of the two, and one of them was read. */
TEST(a_name_means_every_file_that_it_may_be)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);

	get(&checkout, "svc/main.c");
	get(&checkout, "lib/x.h");
	put(&checkout, "main.d", "main.o: svc/main.c x.h\n");
	check_reads(&checkout, "base/x.h|lib/x.h|svc/main.c");
}

TEST(absolute_names_are_those_of_the_sandbox)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);

	get(&checkout, "svc/main.c");
	get(&checkout, "base/x.h");
	put(&checkout, "main.d",
		"main.o: /codebuild/src/svc/main.c /usr/include/base/y.h "
		"/codebuild/src/base/x.h\n");
	check_reads(&checkout, "base/x.h|svc/main.c");
}

/* The kernel stamps changes by a clock that ticks every few milliseconds. */
static void change(const struct checkout *checkout, const char *path)
{
	struct stat status = {0};

	do {
		CHECK(chmod(path, 0600) == 0 && lstat(path, &status) == 0);
	} while (status.st_ctim.tv_sec * 1000000000ll + status.st_ctim.tv_nsec <=
		 checkout->reads.marked_ns);
}

TEST(what_was_changed_replaced_or_removed_counts_as_read)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);
	scoped(text_free) char *gone = in(&checkout, "base/x.h"), *moded = in(&checkout, "lib/x.h");
	get(&checkout, "svc/main.c");
	put(&checkout, "base/y.h", "2");
	CHECK(unlink(gone) == 0);
	change(&checkout, moded);
	put(&checkout, "main.d", "main.o: svc/main.c\n");
	check_reads(&checkout, "base/x.h|base/y.h|lib/x.h|svc/main.c");
}

TEST(without_dependency_files_nothing_is_known)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);

	get(&checkout, "svc/main.c");
	put(&checkout, "notes.d", "this is no rule\n");
	put(&checkout, "system.d", "main.o: /usr/include/stdio.h\n");
	check_reads(&checkout, "? it left no dependency files of a compiler");
}

/* As where access times are not kept: the compiler names a file whose time stands still. */
TEST(witnesses_that_contradict_each_other_are_not_believed)
{
	scoped(checkout_free) struct checkout checkout = checkout_make(NULL);

	get(&checkout, "svc/main.c");
	put(&checkout, "main.d", "main.o: svc/main.c base/x.h\n");
	check_reads(&checkout, "? access times do not move where it was built");
}

TEST(links_make_everything_unknown)
{
	scoped(checkout_free) struct checkout checkout = checkout_make("base/link.h");

	get(&checkout, "svc/main.c");
	put(&checkout, "main.d", "main.o: svc/main.c\n");
	check_reads(&checkout, "? there are symbolic links");
}

TEST_MAIN()
