#include "tests/test.h"

#include "builders/image/companion_files.h"
#include "tests/unit/builders/image/closure_place.h"

#include <unistd.h>

/* What no DT_NEEDED tells: versions, notes, and what libraries open by name. */

static struct strings list_of(char **items)
{
	struct strings list = {items, 0};

	while (items[list.count])
		list.count++;
	return list;
}

static bool add_and_finish(struct place *place, const struct elf_recipe *recipe, struct error *err)
{
	scoped(text_free) char *program = put(place, "build/rooms", recipe);

	return closure_add(place->closure, program, "/app/rooms", err) &&
	       closure_finish(place->closure, err);
}

static void put_library(struct place *place, const char *name, struct elf_recipe recipe)
{
	scoped(text_free) char *where = path_join("usr/lib", name);

	recipe.soname = name;
	scoped(text_free) char *path = put(place, where, &recipe);
}

TEST(a_version_that_a_library_lacks_is_refused_with_all_names)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "libfoo.so.1",
		(struct elf_recipe){.versions = {"libfoo.so.1", "FOO_1.9", "FOO_1.10"}});
	put_library(&place, "libbar.so.1",
		(struct elf_recipe){.needed = {"libfoo.so.1"},
			.version_file = "libfoo.so.1",
			.version_needs = {"FOO_1.9", "FOO_2.0"}});
	CHECK(!add_and_finish(&place, &(struct elf_recipe){.needed = {"libbar.so.1"}}, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "libbar.so.1 needs the version FOO_2.0 of libfoo.so.1, and \"");
	CHECK_CONTAINS(err.message,
		"usr/lib/libfoo.so.1\" does not define it: its newest is FOO_1.10");
	CHECK_CONTAINS(err.contexts[0], "libbar.so.1, needed by rooms");
	error_free(&err);
}

TEST(a_program_newer_than_libc_is_refused)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "libc.so.6",
		(struct elf_recipe){.versions = {"libc.so.6", "GLIBC_2.34", "GLIBC_2.36"}});
	CHECK(!add_and_finish(&place,
		&(struct elf_recipe){.needed = {"libc.so.6"},
			.version_file = "libc.so.6",
			.version_needs = {"GLIBC_2.34", "GLIBC_2.38"}},
		&err));
	CHECK_CONTAINS(err.message, "rooms needs the version GLIBC_2.38 of libc.so.6");
	CHECK_CONTAINS(err.message, "its newest is GLIBC_2.36");
	CHECK_CONTAINS(err.next, "rooms was linked on a newer system than this one");
	error_free(&err);
}

/* Both share structures that no version names. */
TEST(a_loader_that_lies_elsewhere_than_its_libc_is_told_of)
{
	static const char *const loaders[] = {"usr/lib/ld.so", "other/ld.so"};

	for (size_t i = 0; i < countof(loaders); i++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place(&place));
		put_library(&place, "libc.so.6",
			(struct elf_recipe){.versions = {"libc.so.6", "GLIBC_2.36"}});
		put_library(&place, "libgcc_s.so.1", (struct elf_recipe){0});
		scoped(text_free) char *loader = put(&place, loaders[i], &(struct elf_recipe){0});
		CHECK_OK(add_and_finish(&place,
			&(struct elf_recipe){.interpreter = loader, .needed = {"libc.so.6"}},
			&err));
		CHECK(warns(&place, "if they are not of one build, rooms will not start") ==
			(i == 1));
	}
}

TEST(weak_versions_and_libraries_without_versions_do_not_stop)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "liba.so.1", (struct elf_recipe){.versions = {"liba.so.1", "A_1"}});
	put_library(&place, "libb.so.1",
		(struct elf_recipe){.needed = {"liba.so.1", "libc.so.1"},
			.version_file = "liba.so.1",
			.version_needs = {"A_2"},
			.weak_needs = true});
	put_library(&place, "libc.so.1", (struct elf_recipe){0});
	CHECK_OK(add_and_finish(&place,
		&(struct elf_recipe){.needed = {"libb.so.1"},
			.version_file = "libc.so.1",
			.version_needs = {"C_1"}},
		&err));
	CHECK_INT(place.warnings.count, 1);
	CHECK(warns(&place, "rooms needs versions of libc.so.1"));
}

#define NOTE(priority, name)                                                                       \
	"[{\"feature\":\"f\",\"description\":\"packing\",\"priority\":\"" priority                 \
	"\",\"soname\":[\"libbest.so.2\",\"" name "\"]}]"

TEST(a_required_library_of_a_dlopen_note_comes_along)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "libz.so.1", (struct elf_recipe){.needed = {"libdeep.so"}});
	put_library(&place, "libdeep.so", (struct elf_recipe){0});
	CHECK_OK(add_and_finish(&place,
		&(struct elf_recipe){.imports = {"dlopen"},
			.dlopen_notes = {NOTE("required", "libz.so.1")}},
		&err));
	CHECK_TEXT(why(&place, place.lib, "libz.so.1"),
		"rooms opens it at run time for packing (its dlopen note)");
	CHECK(holds(&place, place.lib, "libdeep.so"));
	CHECK_INT(place.warnings.count, 0);
}

TEST(a_required_library_that_is_not_here_stops_a_recommended_one_warns)
{
	scoped(close_place) struct place place = {0}, other = {0};
	struct error err = {0};

	REQUIRE(open_place(&place) && open_place(&other));
	CHECK(!add_and_finish(&place,
		&(struct elf_recipe){.dlopen_notes = {NOTE("required", "libgone.so.7")}}, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "rooms opens libbest.so.2 or libgone.so.7 at run time");
	error_free(&err);
	CHECK_OK(add_and_finish(&other,
		&(struct elf_recipe){.dlopen_notes = {NOTE("recommended", "libgone.so.7")}}, &err));
	CHECK(warns(&other,
		"rooms would open libbest.so.2 or libgone.so.7 at run time for packing"));
}

TEST(a_recommended_library_comes_along_a_suggested_one_by_request)
{
	static char suggested[] = "suggested";
	static char *items[] = {suggested, NULL};
	const struct strings with = list_of(items);

	for (int requested = 0; requested < 2; requested++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place_with(&place,
			&(struct closure_options){.with = requested ? &with : NULL}));
		put_library(&place, "libone.so", (struct elf_recipe){0});
		put_library(&place, "libtwo.so", (struct elf_recipe){0});
		CHECK_OK(add_and_finish(&place,
			&(struct elf_recipe){.dlopen_notes = {NOTE("recommended", "libone.so"),
						     NOTE("suggested", "libtwo.so")}},
			&err));
		CHECK(holds(&place, place.lib, "libone.so"));
		CHECK(holds(&place, place.lib, "libtwo.so") == requested);
		CHECK(warns(&place,
			      "rooms can open libbest.so.2 or libtwo.so for packing, which is "
			      "not in the image; --with suggested adds it") == !requested);
	}
}

TEST(a_note_that_makes_no_sense_is_said_and_passed_over)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	CHECK_OK(add_and_finish(&place, &(struct elf_recipe){.dlopen_notes = {"[{]"}}, &err));
	CHECK_INT(place.warnings.count, 1);
	CHECK(warns(&place, "build/rooms"));
}

TEST(programs_and_libraries_that_open_others_by_name_are_warned_of)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "liba.so", (struct elf_recipe){.imports = {"dlopen"}});
	put_library(&place, "libb.so", (struct elf_recipe){.imports = {"dlmopen"}});
	CHECK_OK(add_and_finish(&place,
		&(struct elf_recipe){.imports = {"dlopen"},
			.needed = {"liba.so", "libb.so"},
			.tail = "libhint.so.3"},
		&err));
	CHECK(warns(&place, "rooms opens libraries by name at run time (dlopen)"));
	CHECK(warns(&place, "its texts mention libhint.so.3"));
	CHECK(warns(&place, "liba.so, libb.so can open modules by name at run time (dlopen)"));
	CHECK_INT(place.warnings.count, 2);
}

TEST(a_static_program_that_needs_its_glibc_is_refused_unless_allowed)
{
	const struct elf_recipe recipe = {.type = ET_EXEC,
		.tail = "libnss_%s.so%s",
		.tail_is_loaded = true};

	for (int allowed = 0; allowed < 2; allowed++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place_with(&place,
			&(struct closure_options){.allow_static_glibc = allowed}));
		CHECK(add_and_finish(&place, &recipe, &err) == allowed);
		if (allowed) {
			CHECK(warns(&place,
				"rooms is linked statically with glibc and looks up hosts"));
			continue;
		}
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_CONTAINS(err.message, "linked statically with glibc and looks up hosts");
		CHECK_CONTAINS(err.next, "musl");
		CHECK_CONTAINS(err.next, "--allow static-glibc");
		error_free(&err);
	}
}

TEST(old_glibc_brings_its_name_services_new_has_them_inside)
{
	for (int is_new = 0; is_new < 2; is_new++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place(&place));
		put_library(&place, "libc.so.6",
			(struct elf_recipe){.versions = {"libc.so.6", "GLIBC_2.31",
						    is_new ? "GLIBC_2.34" : NULL}});
		put_library(&place, "libnss_files.so.2", (struct elf_recipe){0});
		put_library(&place, "libnss_dns.so.2", (struct elf_recipe){0});
		put_library(&place, "libgcc_s.so.1", (struct elf_recipe){0});
		CHECK_OK(add_and_finish(&place, &(struct elf_recipe){.needed = {"libc.so.6"}},
			&err));
		CHECK(holds(&place, place.lib, "libnss_files.so.2") == !is_new);
		CHECK(holds(&place, place.lib, "libnss_dns.so.2") == !is_new);
		CHECK_INT(place.warnings.count, 0);
	}
}

TEST(sources_that_the_users_nsswitch_names_come_along)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "libc.so.6",
		(struct elf_recipe){.versions = {"libc.so.6", "GLIBC_2.34"}});
	put_library(&place, "libgcc_s.so.1", (struct elf_recipe){0});
	put_library(&place, "libnss_ldap.so.2", (struct elf_recipe){.needed = {"libldap.so"}});
	put_library(&place, "libldap.so", (struct elf_recipe){0});
	REQUIRE_OK(tree_add_content(&place.tree, "/etc/nsswitch.conf",
		str_of("passwd: files ldap # not [this]\nhosts:\tfiles mdns [NOTFOUND=return] "
		       "dns\n"),
		LAYER_BASE, "test", &err));
	CHECK_OK(add_and_finish(&place, &(struct elf_recipe){.needed = {"libc.so.6"}}, &err));
	CHECK_TEXT(why(&place, place.lib, "libnss_ldap.so.2"),
		"nsswitch.conf looks up passwd with it");
	CHECK(holds(&place, place.lib, "libldap.so"));
	CHECK_INT(place.warnings.count, 1);
	CHECK(warns(&place, "libnss_mdns.so.2 is not here"));
}

TEST(a_locale_and_a_zone_of_the_environment_come_along)
{
	static char zone[] = "TZ=Europe/Berlin", lang[] = "LANG=C.UTF-8", other[] = "LC_TIME=de_DE",
		    path[] = "LD_LIBRARY_PATH=/x";
	static char *items[] = {zone, lang, other, path, NULL};
	const struct strings env = list_of(items);
	scoped(close_place) struct place place = {0};
	scoped(text_free) char *zones = NULL, *locales = NULL, *berlin = NULL, *ctype = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	zones = path_join(place.root, "zones");
	locales = path_join(place.root, "locales");
	berlin = put(&place, "zones/Europe/Berlin", &(struct elf_recipe){0});
	ctype = put(&place, "locales/C.utf8/LC_CTYPE", &(struct elf_recipe){0});
	place.options.env = &env;
	place.options.zones = zones;
	place.options.locales = locales;
	closure_free(&place.closure);
	place.closure = closure_new(&place.options, &place.tree, &place.warnings);
	CHECK_OK(add_and_finish(&place, &(struct elf_recipe){.imports = {"setlocale"}}, &err));
	CHECK_TEXT(why(&place, "usr/share/zoneinfo/Europe", "Berlin"),
		"TZ=Europe/Berlin asks for it");
	CHECK_TEXT(why(&place, "usr/lib/locale/C.utf8", "LC_CTYPE"), "LANG=C.UTF-8 asks for it");
	CHECK_INT(place.warnings.count, 2);
	CHECK(warns(&place, "LC_TIME=de_DE: the locale has no folder"));
	CHECK(warns(&place, "the image sets LD_LIBRARY_PATH"));
}

/* A name of the environment leads to no file outside the folders that it is looked up in. */
TEST(a_zone_or_locale_is_no_way_out_of_its_folder)
{
	static char zone[] = "TZ=../outside", lang[] = "LANG=../outside",
		    preload[] = "LD_PRELOAD=/x.so";
	static char *items[] = {zone, lang, preload, NULL};
	const struct strings env = list_of(items);
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *zones = path_join(place.root, "a/zones");
	scoped(text_free) char *locales = path_join(place.root, "b/locales");
	scoped(text_free) char *zone_in = put(&place, "a/zones/UTC", &(struct elf_recipe){0});
	scoped(text_free) char *locale_in = put(&place, "b/locales/C/X", &(struct elf_recipe){0});
	scoped(text_free) char *zone_out = put(&place, "a/outside", &(struct elf_recipe){0});
	scoped(text_free) char *locale_out = put(&place, "b/outside/X", &(struct elf_recipe){0});
	place.options.env = &env;
	place.options.zones = zones;
	place.options.locales = locales;
	closure_free(&place.closure);
	place.closure = closure_new(&place.options, &place.tree, &place.warnings);
	CHECK_OK(add_and_finish(&place, &(struct elf_recipe){0}, &err));
	for (size_t i = 0; i < place.tree.count; i++)
		CHECK(!strstr(place.tree.entries[i].path, "outside"));
	CHECK(warns(&place, "the image sets LD_PRELOAD"));
}

TEST(who_sets_a_locale_or_converts_is_told_what_can_be_asked_for)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	put_library(&place, "libxml2.so.2",
		(struct elf_recipe){.imports = {"iconv_open", "setlocale"}});
	put_library(&place, "libstdc++.so.6", (struct elf_recipe){.imports = {"iconv_open"}});
	CHECK_OK(add_and_finish(&place,
		&(struct elf_recipe){.needed = {"libxml2.so.2", "libstdc++.so.6"},
			.imports = {"setlocale"}},
		&err));
	CHECK_INT(place.warnings.count, 2);
	CHECK(warns(&place, "libxml2.so.2 may convert character sets"));
	CHECK(warns(&place, "rooms may take a locale from the environment"));
}

TEST(an_unknown_request_is_refused)
{
	static char word[] = "everything";
	static char *items[] = {word, NULL};
	const struct strings with = list_of(items);
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place_with(&place, &(struct closure_options){.with = &with}));
	CHECK(!closure_finish(place.closure, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_CONTAINS(err.next, "gconv|gconv-all|locale");
	error_free(&err);
}

/* The lines are as in glibc 2.36's own file. */
TEST(the_list_of_converters_keeps_the_lines_of_those_that_come_along)
{
	static const char *const modules[] = {"ISO8859-1"};
	scoped(buf_free) struct buf out = {0};
	const char *text = "# comment\n"
			   "alias\tLATIN1//\t\tISO-8859-1//\n"
			   "alias\tKOI8//\t\tKOI-8//\n"
			   "module\tISO-8859-1//\t\tINTERNAL\t\tISO8859-1\t1\n"
			   "module\tINTERNAL\t\tISO-8859-1//\t\tISO8859-1\t1\n"
			   "module\tKOI-8//\t\tINTERNAL\t\tKOI-8\t1\n";

	companion_filter_gconv(str_of(text), modules, countof(modules), &out);
	CHECK_TEXT(buf_text(&out), "module\tISO-8859-1//\t\tINTERNAL\t\tISO8859-1\t1\n"
				   "module\tINTERNAL\t\tISO-8859-1//\t\tISO8859-1\t1\n"
				   "alias\tLATIN1//\t\tISO-8859-1//\n");
}

TEST_MAIN()
