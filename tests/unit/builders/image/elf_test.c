#include "tests/test.h"

#include "base/memory.h"
#include "builders/image/elf.h"
#include "tests/unit/builders/image/elf_maker.h"

TEST(a_program_tells_its_loader_and_libraries)
{
	scoped(buf_free) struct buf file = {0};
	scoped(elf_free) struct elf elf = {0};
	struct error err = {0};

	elf_make(&(struct elf_recipe){.interpreter = "/lib64/ld-linux-x86-64.so.2",
			 .needed = {"libz.so.1", "libc.so.6"},
			 .runpath = "$ORIGIN/../lib:/opt/x"},
		&file);
	REQUIRE_OK(elf_parse(buf_str(&file), "rooms", &elf, &err));
	CHECK(elf.is_64);
	CHECK_INT(elf.machine, EM_X86_64);
	CHECK(str_equal_text(elf.interpreter, "/lib64/ld-linux-x86-64.so.2"));
	REQUIRE(elf.needed_count == 2);
	CHECK(str_equal_text(elf.needed[0], "libz.so.1"));
	CHECK(str_equal_text(elf.needed[1], "libc.so.6"));
	CHECK(str_equal_text(elf.runpath, "$ORIGIN/../lib:/opt/x"));
	CHECK_INT(elf.rpath.size, 0);
	CHECK_TEXT(elf_architecture(&elf), "amd64");
}

TEST(a_library_tells_its_soname_rpath_and_flags)
{
	scoped(buf_free) struct buf file = {0};
	scoped(elf_free) struct elf elf = {0};
	struct error err = {0};

	elf_make(&(struct elf_recipe){.soname = "libfoo.so.2",
			 .rpath = "/opt/foo",
			 .flags_1 = DF_1_NODEFLIB},
		&file);
	REQUIRE_OK(elf_parse(buf_str(&file), "libfoo.so.2", &elf, &err));
	CHECK(str_equal_text(elf.soname, "libfoo.so.2"));
	CHECK(str_equal_text(elf.rpath, "/opt/foo"));
	CHECK(elf.no_default_folders);
	CHECK_INT(elf.interpreter.size, 0);
}

TEST(both_classes_and_both_byte_orders_are_read)
{
	static const struct {
		struct elf_recipe recipe;
		const char *architecture;
	} cases[] = {
		{{.machine = EM_386, .is_32 = true, .needed = {"libc.so.6"}}, "386"},
		{{.machine = EM_ARM, .is_32 = true, .needed = {"libc.so.6"}}, "arm"},
		{{.machine = EM_AARCH64, .needed = {"libc.so.6"}}, "arm64"},
		{{.machine = EM_S390, .big_endian = true, .needed = {"libc.so.6"}}, "s390x"},
		{{.machine = EM_SPARC, .is_32 = true, .big_endian = true, .needed = {"libc.so.6"}},
			NULL},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(buf_free) struct buf file = {0};
		scoped(elf_free) struct elf elf = {0};
		struct error err = {0};

		elf_make(&cases[i].recipe, &file);
		REQUIRE_OK(elf_parse(buf_str(&file), "x", &elf, &err));
		REQUIRE(elf.needed_count == 1);
		CHECK(str_equal_text(elf.needed[0], "libc.so.6"));
		CHECK_TEXT(elf_architecture(&elf), cases[i].architecture);
	}
}

TEST(a_static_program_needs_nothing_but_may_need_its_own_glibc)
{
	scoped(buf_free) struct buf plain = {0}, nss = {0};
	scoped(elf_free) struct elf elf = {0}, other = {0};
	struct error err = {0};

	elf_make(&(struct elf_recipe){.type = ET_EXEC}, &plain);
	REQUIRE_OK(elf_parse(buf_str(&plain), "static", &elf, &err));
	CHECK(!elf.dynamic);
	CHECK_INT(elf.needed_count, 0);
	CHECK_INT(elf_static_needs(&elf, buf_str(&plain)), 0);

	elf_make(&(struct elf_recipe){.type = ET_EXEC,
			 .tail = "libnss_%s.so%s",
			 .tail_is_loaded = true},
		&nss);
	REQUIRE_OK(elf_parse(buf_str(&nss), "static", &other, &err));
	CHECK_INT(elf_static_needs(&other, buf_str(&nss)), ELF_STATIC_NAMES);
}

/* Both tables have one shape in both classes; only the byte order changes (LSB core 5.0, 10.7). */
TEST(versions_needed_and_defined_are_read)
{
	for (int kind = 0; kind < 4; kind++) {
		scoped(buf_free) struct buf file = {0};
		scoped(elf_free) struct elf elf = {0};
		struct error err = {0};

		elf_make(&(struct elf_recipe){.is_32 = kind & 1,
				 .big_endian = kind & 2,
				 .soname = "libfoo.so.2",
				 .version_file = "libc.so.6",
				 .version_needs = {"GLIBC_2.2.5", "GLIBC_2.34"},
				 .weak_needs = kind == 3,
				 .versions = {"libfoo.so.2", "FOO_1", "FOO_2"}},
			&file);
		REQUIRE_OK(elf_parse(buf_str(&file), "libfoo.so.2", &elf, &err));
		REQUIRE(elf.version_need_count == 2);
		CHECK(str_equal_text(elf.version_needs[1].file, "libc.so.6"));
		CHECK(str_equal_text(elf.version_needs[1].version, "GLIBC_2.34"));
		CHECK(elf.version_needs[1].weak == (kind == 3));
		CHECK_INT(elf.version_count, 3);
		CHECK(elf_defines_version(&elf, str_of("FOO_2")));
		CHECK(!elf_defines_version(&elf, str_of("FOO_3")));
	}
}

TEST(imports_of_interest_are_seen)
{
	for (int kind = 0; kind < 4; kind++) {
		scoped(buf_free) struct buf file = {0}, none = {0};
		scoped(elf_free) struct elf elf = {0}, other = {0};
		struct error err = {0};

		elf_make(&(struct elf_recipe){.is_32 = kind & 1,
				 .big_endian = kind & 2,
				 .imports = {"printf", "dlopen", "iconv_open"}},
			&file);
		REQUIRE_OK(elf_parse(buf_str(&file), "rooms", &elf, &err));
		CHECK_INT(elf.imports, ELF_IMPORTS_DLOPEN | ELF_IMPORTS_ICONV);
		elf_make(&(struct elf_recipe){.imports = {"dlopen_my_own", "setlocale"}}, &none);
		REQUIRE_OK(elf_parse(buf_str(&none), "rooms", &other, &err));
		CHECK_INT(other.imports, ELF_IMPORTS_LOCALE);
	}
}

TEST(notes_of_libraries_opened_by_name_are_found)
{
	scoped(buf_free) struct buf file = {0};
	scoped(elf_free) struct elf elf = {0};
	struct error err = {0};

	elf_make(&(struct elf_recipe){.soname = "liba.so", .dlopen_notes = {"[]", "[{\"a\":1}]"}},
		&file);
	REQUIRE_OK(elf_parse(buf_str(&file), "liba.so", &elf, &err));
	REQUIRE(elf.dlopen_note_count == 2);
	CHECK(str_equal_text(elf.dlopen_notes[0], "[]"));
	CHECK(str_equal_text(elf.dlopen_notes[1], "[{\"a\":1}]"));
}

TEST(what_is_no_elf_file_is_named_so)
{
	struct elf elf;
	struct error err = {0};

	CHECK(!elf_parse(str_of("#!/bin/sh\necho hello\n"), "run.sh", &elf, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "\"run.sh\" is not an ELF program or library");
	CHECK_CONTAINS(err.next, "script");
	error_free(&err);
	CHECK_FAILS(elf_parse((struct str){NULL, 0}, "empty", &elf, &err), ERROR_INVALID);
	CHECK_FAILS(elf_parse(str_of("\177ELF"), "short", &elf, &err), ERROR_INVALID);
}

TEST(an_object_file_is_not_yet_a_program)
{
	scoped(buf_free) struct buf file = {0};
	struct elf elf;
	struct error err = {0};

	elf_make(&(struct elf_recipe){.type = ET_REL}, &file);
	CHECK(!elf_parse(buf_str(&file), "rooms.o", &elf, &err));
	CHECK_CONTAINS(err.message, "not yet linked");
	error_free(&err);
}

/* Every prefix of a file is refused as truncated or as nonsense, and nothing beyond it is read
 * (the sanitizers see that: each prefix lies in a block of exactly its size). */
TEST(every_truncation_is_refused)
{
	scoped(buf_free) struct buf file = {0};

	elf_make(&(struct elf_recipe){.interpreter = "/lib64/ld-linux-x86-64.so.2",
			 .needed = {"libz.so.1", "libc.so.6"},
			 .soname = "librooms.so",
			 .version_file = "libc.so.6",
			 .version_needs = {"GLIBC_2.34"},
			 .versions = {"librooms.so", "ROOMS_1"},
			 .imports = {"dlopen"},
			 .dlopen_notes = {"[]"}},
		&file);
	for (size_t size = 0; size < file.size; size++) {
		char *prefix = malloc(size ? size : 1);
		struct elf elf = {0};
		struct error err = {0};

		memcpy(prefix, file.data, size);
		CHECK_FAILS(elf_parse((struct str){prefix, size}, "cut", &elf, &err),
			ERROR_INVALID);
		free(prefix);
	}
}

/* One byte changed at a time: any answer is fine, no read outside is. */
TEST(no_changed_byte_leads_outside_the_file)
{
	scoped(buf_free) struct buf file = {0};

	elf_make(&(struct elf_recipe){.interpreter = "/lib64/ld-linux-x86-64.so.2",
			 .needed = {"libz.so.1"},
			 .rpath = "/opt",
			 .version_file = "libc.so.6",
			 .version_needs = {"GLIBC_2.34"},
			 .versions = {"librooms.so", "ROOMS_1"},
			 .imports = {"dlopen"},
			 .dlopen_notes = {"[]"}},
		&file);
	for (size_t i = 0; i < file.size; i++) {
		for (int change = 1; change < 256; change += 63) {
			char *copy = malloc(file.size);
			struct elf elf = {0};
			struct error err = {0};

			memcpy(copy, file.data, file.size);
			copy[i] = (char)(copy[i] ^ change);
			if (!elf_parse((struct str){copy, file.size}, "odd", &elf, &err))
				error_free(&err);
			elf_free(&elf);
			free(copy);
		}
	}
}

TEST(our_own_test_program_is_read_from_its_file)
{
	scoped(elf_file_close) struct elf_file file = {0};
	struct error err = {0};

	REQUIRE_OK(elf_file_open("/proc/self/exe", &file, &err));
	CHECK_TEXT(elf_architecture(&file.elf), elf_native_architecture());
	CHECK(file.elf.interpreter.size > 0);
	bool needs_glibc = false;
	for (size_t i = 0; i < file.elf.version_need_count; i++)
		needs_glibc = needs_glibc ||
			      str_starts_with(file.elf.version_needs[i].version, "GLIBC_2.");
	CHECK(needs_glibc);
	CHECK_FAILS(elf_file_open("/", &file, &err), ERROR_INVALID);
	CHECK_FAILS(elf_file_open("/nonexistent/x", &file, &err), ERROR_NOT_FOUND);
}

TEST_MAIN()
