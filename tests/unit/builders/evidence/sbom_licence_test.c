#include "tests/test.h"

#include "base/memory.h"
#include "builders/evidence/sbom_licence.h"
#include "builders/evidence/sbom_licence_name.h"

#define FORMAT "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"

static const char *spdx(const char *name)
{
	static struct buf out;

	buf_clear(&out);
	return licence_name_to_spdx(str_of(name), &out) ? buf_text(&out) : "none";
}

/* Left: DEP-5, 7.2 and what Debian's files write; right: the SPDX licence list 3.x. */
TEST(names_are_translated)
{
	CHECK_TEXT(spdx("GPL-2"), "GPL-2.0-only");
	CHECK_TEXT(spdx("GPL-2+"), "GPL-2.0-or-later");
	CHECK_TEXT(spdx("gpl-3.0+"), "GPL-3.0-or-later");
	CHECK_TEXT(spdx("LGPL-2.1"), "LGPL-2.1-only");
	CHECK_TEXT(spdx("AGPL-3+"), "AGPL-3.0-or-later");
	CHECK_TEXT(spdx("GFDL-NIV-1.3+"), "GFDL-1.3-no-invariants-or-later");
	CHECK_TEXT(spdx("GPL-2.0-or-later"), "GPL-2.0-or-later");
	CHECK_TEXT(spdx("Expat"), "MIT");
	CHECK_TEXT(spdx("BSD-3-clause"), "BSD-3-Clause");
	CHECK_TEXT(spdx("Apache-2.0"), "Apache-2.0");
	CHECK_TEXT(spdx("GPL-3+ with GCC-Runtime-Library exception"),
		"GPL-3.0-or-later WITH GCC-exception-3.1");
	CHECK_TEXT(spdx("GPL-2+ with OpenSSL exception"), "none");
	CHECK_TEXT(spdx("GPL"), "none");
	CHECK_TEXT(spdx("GPL-"), "none");
	CHECK_TEXT(spdx("GPL-2x"), "none");
	CHECK_TEXT(spdx("public-domain"), "none");
	CHECK_TEXT(spdx(""), "none");
}

static struct sbom_licence parse(const char *text)
{
	return sbom_licence_parse(str_of(text));
}

TEST(all_groups_of_files_count_each_licence_once)
{
	scoped(sbom_licence_free) struct sbom_licence licence =
		parse(FORMAT "License: header-is-no-group\n\n"
			     "Files: *\nCopyright: x\nLicense: GPL-2+ or Artistic\n\n"
			     "Files: a\nLicense: Expat and Zlib\n text\n\n"
			     "Files: b\nLicense: Expat\n\n"
			     "License: Expat\n the text\n");

	CHECK_TEXT(licence.expression, "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT AND Zlib");
	CHECK_INT(licence.reference_count, 0);
}

/* DEP-5, 7.2: "and" binds tighter than "or" unless a comma stands before it. */
TEST(a_comma_loosens_and)
{
	scoped(sbom_licence_free) struct sbom_licence
		plain = parse(FORMAT "\nFiles: *\nLicense: GPL-1 or Zlib and ISC\n"),
		comma = parse(FORMAT "\nFiles: *\nLicense: GPL-1+ or Artistic, and BSD-3-clause\n");

	CHECK_TEXT(plain.expression, "GPL-1.0-only OR Zlib AND ISC");
	CHECK_TEXT(comma.expression, "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause");
}

TEST(an_unknown_licence_becomes_a_reference_with_its_text)
{
	scoped(sbom_licence_free) struct sbom_licence
		one = parse(FORMAT "\nFiles: *\nLicense: public-domain\n\n"
				   "License: public-domain\n Take it.\n .\n  It is yours.\n"),
		two = parse(FORMAT "\nFiles: *\nLicense: public-domain\n Keep it.\n");

	REQUIRE(one.reference_count == 1 && two.reference_count == 1);
	CHECK_TEXT(one.references[0].text, "Take it.\n\n It is yours.");
	CHECK_TEXT(one.references[0].name, "public-domain");
	CHECK_TEXT(one.expression, one.references[0].id);
	CHECK(text_starts_with(one.references[0].id, "LicenseRef-debian-public-domain-"));
	CHECK(!text_equal(one.references[0].id, two.references[0].id));
}

TEST(free_text_is_only_known_by_its_digest)
{
	scoped(sbom_licence_free) struct sbom_licence
		text = parse("This is GPL, see below.\n\nFiles: *\nLicense: GPL-2\n"),
		empty = parse(""), no_groups = parse(FORMAT "\nLicense: GPL-2\n text\n");

	CHECK(!text.expression && !empty.expression && !no_groups.expression);
	/* SHA-256 of no bytes */
	char digest[DIGEST_TEXT_SIZE];
	digest_to_text(&empty.text, digest);
	CHECK_TEXT(digest,
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_MAIN()
