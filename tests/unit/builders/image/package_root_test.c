#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/package_root.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A root as package_fetch() leaves it, of one package. */
struct place {
	struct package_root root;
	char *folder; /* owned */
};

static bool put(const struct place *place, const char *path, const char *content)
{
	scoped(text_free) char *whole = path_join(place->folder, path);
	scoped(text_free) char *parent = path_parent(whole);
	struct error err = {0};
	bool ok = folder_make(parent, 0755, &err) &&
		  file_write(whole, str_of(content), 0644, false, &err);

	error_free(&err);
	return ok;
}

static bool open_place(struct place *place)
{
	struct error err = {0};

	if (!folder_make_temporary(NULL, "root-", &place->folder, &err))
		return false;
	place->root.path = realpath(place->folder, NULL);
	scoped(text_free) char *dpkg = path_join(place->root.path, "var/lib/dpkg");
	scoped(text_free) char *empty = path_join(place->folder, "var/lib/x/empty");
	bool ok =
		put(place, "var/lib/dpkg/status",
			"Package: x\nStatus: install ok installed\nArchitecture: all\nVersion: "
			"1\n") &&
		put(place, "var/lib/dpkg/info/x.list",
			"/.\n/usr\n/usr/share\n/usr/share/x\n/usr/share/x/file\n/usr/share/x/odd\n"
			"/usr/share/man\n/usr/share/man/x.1\n/var\n/var/lib\n/var/lib/x\n"
			"/var/lib/x/empty\n") &&
		put(place, "usr/share/x/file", "content") &&
		put(place, "usr/share/man/x.1", "manual") && folder_make(empty, 0755, &err) &&
		package_database_open(&(struct package_places){.dpkg = dpkg,
					      .root = place->root.path},
			&place->root.database, &err);

	error_free(&err);
	return ok;
}

static void close_place(struct place *place)
{
	struct error err = {0};

	if (place->folder && !folder_remove(place->folder, &err))
		error_free(&err);
	text_free(&place->folder);
	package_root_free(&place->root);
}

TEST(files_and_empty_folders_come_in_and_manuals_do_not)
{
	scoped(close_place) struct place place = {0};
	scoped(tree_free) struct tree tree = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	REQUIRE_OK(package_root_add(&place.root, &tree, &err));
	const struct tree_entry *file = tree_find(&tree, "usr/share/x/file");
	const struct tree_entry *empty = tree_find(&tree, "var/lib/x/empty");
	REQUIRE(file && empty);
	CHECK(file->layer == LAYER_LIBRARIES && file->package != NULL);
	CHECK_TEXT(file->package->name, "x");
	CHECK(empty->kind == ENTRY_FOLDER && empty->package == file->package);
	CHECK_INT(tree.count, 2);
}

TEST(setuid_files_and_pipes_are_refused_by_name)
{
	scoped(close_place) struct place place = {0};
	scoped(tree_free) struct tree tree = {0}, other = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *odd = path_join(place.folder, "usr/share/x/odd");
	REQUIRE(put(&place, "usr/share/x/odd", "") && chmod(odd, 04755) == 0);
	REQUIRE(!package_root_add(&place.root, &tree, &err));
	CHECK(err.kind == ERROR_INVALID);
	CHECK_CONTAINS(err.message, "usr/share/x/odd");
	CHECK_CONTAINS(err.contexts[0], "of the package x");
	error_free(&err);

	REQUIRE(unlink(odd) == 0 && mkfifo(odd, 0644) == 0);
	CHECK_FAILS(package_root_add(&place.root, &other, &err), ERROR_INVALID);
}

TEST(names_that_apt_would_take_for_something_else_are_refused)
{
	static const char *const odd[] = {"", "a", "-o", "x-", "x+", "../x", "tz*", "x=", "x=1;2",
		"X11"};
	struct package_root root = {0};
	struct error err = {0};

	for (size_t i = 0; i < countof(odd); i++) {
		scoped(strings_free) struct strings names = {0};
		strings_add(&names, odd[i]);
		CHECK_FAILS(package_root_prepare(&names, "/nonexistent", &root, &err), ERROR_USAGE);
	}
}

TEST_MAIN()
