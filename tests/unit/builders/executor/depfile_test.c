#include "builders/executor/depfile.h"
#include "tests/test.h"

/* The prerequisites joined with "|"; "(none)" when it is no dependency file. */
static void check_reads(const char *text, const char *expected)
{
	scoped(strings_free) struct strings files = {0};
	scoped(buf_free) struct buf joined = {0};

	if (!depfile_parse(str_of(text), &files))
		buf_append_text(&joined, "(none)");
	for (size_t i = 0; i < files.count; i++)
		buf_printf(&joined, "%s%s", i ? "|" : "", files.items[i]);
	CHECK_TEXT(buf_text(&joined), expected);
}

TEST(rules_have_targets_and_prerequisites)
{
	check_reads("a.o: a.c x.h\n", "a.c|x.h");
	check_reads("a.o b.o : a.c\n", "a.c");
	check_reads("a.o: a.c", "a.c");
	check_reads("a.o:\n", "");
	check_reads("\n\na.o: a.c\n\nb.o: b.c\n", "a.c|b.c");
}

TEST(lines_go_on_after_a_backslash)
{
	check_reads("a.o: a.c \\\n x.h \\\n  y.h\n", "a.c|x.h|y.h");
	check_reads("a.o: \\\n a.c\n", "a.c");
	check_reads("a.o \\\n b.o: a.c\\\n x.h\n", "a.c|x.h");
	check_reads("a.o: a.c \\\r\n x.h\r\n", "a.c|x.h");
}

TEST(phony_targets_of_MP_name_nothing_new)
{
	check_reads("a.o: a.c x.h\n\nx.h:\n\ny.h:\n", "a.c|x.h");
}

/* As libcpp's mkdeps.c munges: blanks, "#" and "$", backslashes before blanks doubled. */
TEST(names_are_unquoted)
{
	check_reads("a.o: odd\\ name.c\n", "odd name.c");
	check_reads("a.o: tab\\\tname.c\n", "tab\tname.c");
	check_reads("a.o: a\\#b.c c$$d.c\n", "a#b.c|c$d.c");
	check_reads("a.o: back\\\\\\ slash.c\n", "back\\ slash.c");
	check_reads("a.o: end\\\\ next.c\n", "end\\|next.c");
	check_reads("a.o: in\\side.c\n", "in\\side.c");
	check_reads("odd\\ name.o: a.c\n", "a.c");
}

TEST(colons_belong_to_names_unless_a_blank_follows)
{
	check_reads("a:b.o: c:d.h\n", "c:d.h");
	check_reads("a.o: C:/x.h\n", "C:/x.h");
}

TEST(what_is_no_such_file_is_refused)
{
	check_reads("", "(none)");
	check_reads("some words\n", "(none)");
	check_reads("a.o: a.c\nmodule main;\n", "(none)");
	scoped(strings_free) struct strings files = {0};

	CHECK(!depfile_parse((struct str){"a.o: a\0b", 8}, &files));
	CHECK_INT(files.count, 0);
}

TEST_MAIN()
