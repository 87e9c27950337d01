#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/package_database.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A root with dpkg's files, as Debian 12 has them: /lib is a link, lists spell "/lib/…". */
struct place {
	char *root, *dpkg, *index; /* owned */
};

static bool put(const struct place *place, const char *path, const char *content)
{
	scoped(text_free) char *whole = path_join(place->root, path);
	scoped(text_free) char *parent = path_parent(whole);
	struct error err = {0};
	bool ok = folder_make(parent, 0755, &err) &&
		  file_write(whole, str_of(content), 0644, false, &err);

	error_free(&err);
	return ok;
}

static const char status[] =
	"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n"
	"Source: glibc\nVersion: 2.36-9+deb12u14\nDescription: GNU C Library\n more of it\n\n"
	"Package: libz1\nStatus: install ok installed\nArchitecture: amd64\n"
	"Source: zlib (1:1.2)\nVersion: 1:1.2+b1\n\n"
	"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
	"Package: wrapper\nStatus: install ok triggers-pending\nArchitecture: all\nVersion: 3\n";

static bool open_place(struct place *place)
{
	struct error err = {0};

	if (!folder_make_temporary(NULL, "dpkg-", &place->root, &err))
		return false;
	place->dpkg = path_join(place->root, "var/lib/dpkg");
	place->index = path_join(place->root, "index");
	scoped(text_free) char *lib = path_join(place->root, "lib");
	return put(place, "var/lib/dpkg/status", status) &&
	       put(place, "var/lib/dpkg/info/libc6:amd64.list",
		       "/.\n/lib\n/lib/x\n/lib/x/libc.so.6\n/usr\n/usr/share\n/usr/share/doc\n"
		       "/usr/share/doc/libc6\n/usr/share/doc/libc6/copyright\n") &&
	       put(place, "var/lib/dpkg/info/libc6:amd64.md5sums", "0  lib/x/libc.so.6\n") &&
	       put(place, "var/lib/dpkg/info/libz1.list",
		       "/.\n/usr\n/usr/lib\n/usr/lib/x\n/usr/lib/x/libz.so.1\n/usr/bin\n"
		       "/usr/bin/z\n") &&
	       put(place, "var/lib/dpkg/info/gone.list", "/etc/gone\n") &&
	       put(place, "var/lib/dpkg/info/wrapper.list", "/usr\n/usr/bin\n/usr/bin/z\n") &&
	       put(place, "var/lib/dpkg/diversions", "/usr/bin/z\n/usr/bin/z.real\nwrapper\n") &&
	       put(place, "usr/share/doc/libc6/copyright", "free") &&
	       put(place, "usr/lib/os-release", "NAME=x\nID=debian\nVERSION_ID=\"12\"\n") &&
	       symlink("usr/lib", lib) == 0;
}

static void close_place(struct place *place)
{
	struct error err = {0};

	if (place->root && !folder_remove(place->root, &err))
		error_free(&err);
	text_free(&place->root);
	text_free(&place->dpkg);
	text_free(&place->index);
}

static struct package_places places_of(const struct place *place)
{
	return (struct package_places){.dpkg = place->dpkg,
		.root = place->root,
		.index = place->index};
}

/* The name of the package that path (below the root) is of; "" for none. */
static const char *owner(const struct place *place, struct package_database *db, const char *path)
{
	scoped(text_free) char *whole = path_join(place->root, path);
	const struct package *package = package_database_find(db, whole);

	return package ? package->name : "";
}

TEST(a_file_is_found_in_both_spellings_and_its_package_is_described)
{
	scoped(close_place) struct place place = {0};
	scoped(package_database_free) struct package_database *db = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	struct package_places places = places_of(&place);
	REQUIRE_OK(package_database_open(&places, &db, &err));
	CHECK_TEXT(owner(&place, db, "usr/lib/x/libc.so.6"), "libc6");
	CHECK_TEXT(owner(&place, db, "lib/x/libc.so.6"), "libc6");
	CHECK_TEXT(owner(&place, db, "lib/x/libz.so.1"), "libz1");
	CHECK_TEXT(owner(&place, db, "usr/lib/x/libz.so.1"), "libz1");
	CHECK_TEXT(owner(&place, db, "usr/lib/x"), "");
	CHECK_TEXT(owner(&place, db, "usr/lib/x/libc.so.7"), "");
	CHECK_TEXT(owner(&place, db, "etc/gone"), ""); /* removed, only its settings are left */

	const struct package *libc = package_database_named(db, "libc6");
	const struct package *libz = package_database_named(db, "libz1");
	REQUIRE(libc && libz && !package_database_named(db, "gone"));
	CHECK_TEXT(libc->version, "2.36-9+deb12u14");
	CHECK_TEXT(libc->architecture, "amd64");
	CHECK_TEXT(libc->source, "glibc");
	CHECK_TEXT(libc->source_version, "2.36-9+deb12u14");
	CHECK(libc->copyright && text_ends_with(libc->copyright, "/usr/share/doc/libc6/copyright"));
	CHECK(libc->md5sums && text_ends_with(libc->md5sums, "/info/libc6:amd64.md5sums"));
	CHECK_TEXT(libz->source, "zlib");
	CHECK_TEXT(libz->source_version, "1:1.2");
	CHECK(!libz->copyright && !libz->md5sums);
	CHECK_TEXT(package_database_distribution(db), "debian");
	CHECK_TEXT(package_database_distribution_version(db), "12");
}

TEST(a_diverted_file_is_of_the_package_that_shipped_it)
{
	scoped(close_place) struct place place = {0};
	scoped(package_database_free) struct package_database *db = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	struct package_places places = places_of(&place);
	REQUIRE_OK(package_database_open(&places, &db, &err));
	CHECK_TEXT(owner(&place, db, "usr/bin/z"), "wrapper");
	CHECK_TEXT(owner(&place, db, "usr/bin/z.real"), "libz1");
}

TEST(the_index_answers_without_the_lists_until_dpkg_changes_something)
{
	scoped(close_place) struct place place = {0};
	scoped(package_database_free) struct package_database *first = NULL, *second = NULL,
							      *third = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	struct package_places places = places_of(&place);
	REQUIRE_OK(package_database_open(&places, &first, &err));
	/* Written in place, so that no time that the index knows changes. */
	scoped(text_free) char *list = path_join(place.dpkg, "info/libz1.list");
	FILE *file = fopen(list, "w");
	REQUIRE(file != NULL);
	fputs("/usr/lib/x/new\n", file);
	fclose(file);
	REQUIRE_OK(package_database_open(&places, &second, &err));
	CHECK_TEXT(owner(&place, second, "usr/lib/x/libz.so.1"), "libz1");
	/* What dpkg does at the end of each run: a new status file. */
	REQUIRE(put(&place, "var/lib/dpkg/status", status));
	REQUIRE_OK(package_database_open(&places, &third, &err));
	CHECK_TEXT(owner(&place, third, "usr/lib/x/libz.so.1"), "");
	CHECK_TEXT(owner(&place, third, "usr/lib/x/new"), "libz1");
}

/* dpkg-divert changes nothing but its own list. */
TEST(a_new_diversion_makes_the_index_anew)
{
	scoped(close_place) struct place place = {0};
	scoped(package_database_free) struct package_database *first = NULL, *second = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	struct package_places places = places_of(&place);
	REQUIRE_OK(package_database_open(&places, &first, &err));
	CHECK_TEXT(owner(&place, first, "usr/lib/x/libz.so.1"), "libz1");
	REQUIRE(put(&place, "var/lib/dpkg/diversions",
		"/usr/lib/x/libz.so.1\n/usr/lib/x/libz.so.1.real\nwrapper\n"));
	REQUIRE_OK(package_database_open(&places, &second, &err));
	CHECK_TEXT(owner(&place, second, "usr/lib/x/libz.so.1.real"), "libz1");
}

TEST(a_damaged_index_is_made_again)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	struct package_places places = places_of(&place);
	for (int round = 0; round < 3; round++) {
		scoped(package_database_free) struct package_database *db = NULL;
		REQUIRE_OK(package_database_open(&places, &db, &err));
		CHECK_TEXT(owner(&place, db, "usr/lib/x/libc.so.6"), "libc6");
		REQUIRE(round > 0 ? truncate(place.index, 100) == 0
				  : put(&place, "index", "not an index"));
	}
}

TEST(a_machine_without_dpkg_has_no_packages)
{
	scoped(package_database_free) struct package_database *db = NULL;
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE_OK(folder_make_temporary(NULL, "dpkg-", &place.root, &err));
	place.dpkg = path_join(place.root, "var/lib/dpkg");
	struct package_places places = places_of(&place);
	REQUIRE_OK(package_database_open(&places, &db, &err));
	CHECK_TEXT(owner(&place, db, "usr/lib/x/libc.so.6"), "");
	CHECK(package_database_named(db, "libc6") == NULL);
	CHECK_TEXT(package_database_distribution(db), "debian");
	CHECK_TEXT(package_database_distribution_version(db), "");
}

TEST_MAIN()
