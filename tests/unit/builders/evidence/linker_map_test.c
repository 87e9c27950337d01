#include "tests/test.h"

#include "base/memory.h"
#include "builders/evidence/linker_map.h"

static void join(const struct strings *list, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < list->count; i++)
		buf_printf(out, "%s%s", i ? " " : "", list->items[i]);
}

/* As GNU ld 2.40 writes it. */
TEST(a_map_of_gnu_ld_names_archives_whose_members_were_used)
{
	static const char text[] =
		"Archive member included to satisfy reference by file (symbol)\n\n"
		"/usr/lib/gcc/x/12/../../../x/libz.a(zutil.o)\n"
		"                              /tmp/cc.o (zlibVersion)\n"
		"build/base/libbase.a(a b.o)   build/main.o (f)\n\n"
		"Merging program properties\n\n"
		"Removed property 0xc0000002 to merge /usr/lib/x/Scrt1.o (not found)\n\n"
		"Discarded input sections\n\n"
		" .note.GNU-stack\n"
		"                0x0000000000000000        0x0 /usr/lib/libunused.a(x.o)\n"
		" .note.GNU-stack\n"
		"                0x0000000000000000        0x0 gone.o\n\n"
		"Memory Configuration\n\nName             Origin\n\n"
		"Linker script and memory map\n\n"
		"LOAD /usr/lib/gcc/x/12/../../../x/Scrt1.o\n"
		"LOAD build/main.o\n"
		"LOAD /usr/lib/libloaded-not-used.a\n"
		" .text          0x0000000000001139       0x5c build/main.o\n"
		" .text          0x0000000000001200       0x10 /usr/lib/libwhole.a(w.o)\n"
		"                0x0000000000001200                main\n";
	scoped(linker_map_free) struct linker_map map = {0};
	scoped(buf_free) struct buf joined = {0};
	struct error err = {0};

	REQUIRE_OK(linker_map_parse(str_literal(text), "m", &map, &err));
	join(&map.archives, &joined);
	CHECK_TEXT(buf_text(&joined), "/usr/lib/libwhole.a /usr/lib/x/libz.a build/base/libbase.a");
	join(&map.objects, &joined);
	CHECK_TEXT(buf_text(&joined), "/usr/lib/x/Scrt1.o build/main.o");
}

/* As lld 14 writes it. */
TEST(a_map_of_lld_is_one_table)
{
	static const char text[] =
		"             VMA              LMA     Size Align Out     In      Symbol\n"
		"             2a8              2a8       1c     1 .interp\n"
		"             2a8              2a8       1c     1         <internal>:(.interp)\n"
		"             2c4              2c4       20     4         "
		"/usr/lib/x/Scrt1.o:(.note)\n"
		"             c40              c40     2480    32         "
		"/usr/lib/x/libz.a(crc32.o):(.rodata)\n";
	scoped(linker_map_free) struct linker_map map = {0};
	scoped(buf_free) struct buf joined = {0};
	struct error err = {0};

	REQUIRE_OK(linker_map_parse(str_literal(text), "m", &map, &err));
	join(&map.archives, &joined);
	CHECK_TEXT(buf_text(&joined), "/usr/lib/x/libz.a");
	join(&map.objects, &joined);
	CHECK_TEXT(buf_text(&joined), "/usr/lib/x/Scrt1.o");
}

TEST(what_is_no_map_is_refused)
{
	struct linker_map map = {0};
	struct error err = {0};

	CHECK_FAILS(linker_map_parse(str_literal("libz.a(x.o)\n"), "m", &map, &err), ERROR_INVALID);
	CHECK_FAILS(linker_map_parse((struct str){0}, "m", &map, &err), ERROR_INVALID);
	CHECK_FAILS(linker_map_read("/nonexistent/map", &map, &err), ERROR_NOT_FOUND);
	CHECK_FAILS(linker_map_read("/", &map, &err), ERROR_INVALID);
}

TEST_MAIN()
