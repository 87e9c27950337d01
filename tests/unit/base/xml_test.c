#include "tests/test.h"

#include "base/buf.h"
#include "base/memory.h"
#include "base/xml.h"

#include <unistd.h>

/* What happened, as "<a x=1>text</a>". */
static void note_open(void *self, const char *name, const char *const *attributes)
{
	buf_printf(self, "<%s", name);
	for (; attributes[0]; attributes += 2)
		buf_printf(self, " %s=%s", attributes[0], attributes[1]);
	buf_append_char(self, '>');
}

static void note_text(void *self, struct str piece)
{
	buf_append_str(self, piece);
}

static void note_close(void *self, const char *name)
{
	buf_printf(self, "</%s>", name);
}

static const struct xml_events events = {note_open, note_text, note_close};

TEST(events_come_in_the_order_of_the_document)
{
	struct error err = {0};
	scoped(buf_free) struct buf seen = {0};

	CHECK_OK(xml_read(str_of("<?xml version=\"1.0\"?><a x='1' y=\"&lt;&#65;\"><!-- c -->t&amp;u"
				 "<p:b/><![CDATA[<raw>]]></a>\n"),
		NULL, &events, &seen, &err));
	CHECK_TEXT(buf_text(&seen), "<a x=1 y=<A>t&u<p:b></p:b><raw></a>");
}

TEST(other_encodings_arrive_as_utf_8)
{
	struct error err = {0};
	scoped(buf_free) struct buf seen = {0};
	static const char utf16[] = "\xff\xfe<\0a\0>\0\xe9\0<\0/\0a\0>\0";

	CHECK_OK(xml_read((struct str){utf16, sizeof(utf16) - 1}, NULL, &events, &seen, &err));
	CHECK_OK(xml_read(str_of("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>"), NULL,
		&events, &seen, &err));
	CHECK_TEXT(buf_text(&seen), "<a>\xc3\xa9</a><a>\xc3\xa9</a>");
}

TEST(what_is_no_xml_is_refused_with_its_place)
{
	struct error err = {0};
	scoped(buf_free) struct buf seen = {0};

	CHECK(!xml_read(str_of("<a>\n  <b></a>"), NULL, &events, &seen, &err));
	CHECK_CONTAINS(err.message, "line 2, column 8: mismatched tag");
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	CHECK_FAILS(xml_read(str_of(""), NULL, &events, &seen, &err), ERROR_INVALID);
	CHECK_FAILS(xml_read(str_of("<a>\xff</a>"), NULL, &events, &seen, &err), ERROR_INVALID);
}

TEST(entities_do_not_expand)
{
	struct error err = {0};
	scoped(buf_free) struct buf seen = {0};
	const struct xml_limits with_types = {.document_types = true};
	const char *outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a>x</a>";

	CHECK(!xml_read(str_of("<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>"),
		&with_types, &events, &seen, &err));
	CHECK_CONTAINS(err.message, "it declares an entity");
	error_free(&err);
	CHECK(!xml_read(str_of("<!DOCTYPE a [<!ENTITY x SYSTEM "
			       "\"file:///etc/passwd\">]><a>&x;</a>"),
		&with_types, &events, &seen, &err));
	CHECK_CONTAINS(err.message, "it declares an entity");
	error_free(&err);
	CHECK(!xml_read(str_of(outside), NULL, &events, &seen, &err));
	CHECK_CONTAINS(err.message, "it has a document type");
	error_free(&err);
	CHECK_TEXT(buf_text(&seen), "");
	CHECK_OK(xml_read(str_of(outside), &with_types, &events, &seen, &err));
	CHECK_TEXT(buf_text(&seen), "<a>x</a>");
}

TEST(depth_and_size_have_limits)
{
	struct error err = {0};
	const struct xml_events none = {0};
	const struct xml_limits three = {.depth = 3}, small = {.size_bytes = 300000};
	scoped(buf_free) struct buf text = {0};

	CHECK_OK(xml_read(str_of("<a><b><c/></b></a>"), &three, &none, NULL, &err));
	CHECK(!xml_read(str_of("<a><b><c><d/></c></b></a>"), &three, &none, NULL, &err));
	CHECK_CONTAINS(err.message, "nest too deeply");
	error_free(&err);
	buf_append_text(&text, "<a>");
	for (int i = 0; i < 100000; i++)
		buf_append_text(&text, "1234567");
	buf_append_text(&text, "</a>");
	CHECK_FAILS(xml_read(buf_str(&text), &small, &none, NULL, &err), ERROR_LIMIT);
	CHECK_OK(xml_read(buf_str(&text), NULL, &none, NULL, &err));
	buf_clear(&text);
	buf_append_text(&text, "<a x='");
	for (int i = 0; i < 1000000; i++)
		buf_append_text(&text, "1234567");
	buf_append_text(&text, "'/>");
	CHECK_FAILS(xml_read(buf_str(&text), NULL, &none, NULL, &err), ERROR_LIMIT);
}

TEST(a_file_is_read_as_a_text_is)
{
	struct error err = {0};
	scoped(buf_free) struct buf seen = {0};
	char path[] = "/tmp/xml-test-XXXXXX";
	int fd = mkstemp(path);

	REQUIRE(fd >= 0);
	CHECK_INT(write(fd, "<a>x</a>", 8), 8);
	close(fd);
	CHECK_OK(xml_read_file(path, NULL, &events, &seen, &err));
	CHECK_TEXT(buf_text(&seen), "<a>x</a>");
	unlink(path);
	CHECK_FAILS(xml_read_file(path, NULL, &events, &seen, &err), ERROR_NOT_FOUND);
}

TEST_MAIN()
