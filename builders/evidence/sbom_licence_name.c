#include "builders/evidence/sbom_licence_name.h"

#include <ctype.h>

struct row {
	const char *debian, *spdx;
};

/* Where the names differ, or differ from what the family rule below gives. */
static const struct row rows[] = {
	{"Artistic", "Artistic-1.0-Perl"},
	{"Artistic-1", "Artistic-1.0"},
	{"Artistic-2", "Artistic-2.0"},
	{"Apache-2", "Apache-2.0"},
	{"BSD-2-clauses", "BSD-2-Clause"},
	{"BSD-3-clauses", "BSD-3-Clause"},
	{"BSL", "BSL-1.0"},
	{"Boost-1.0", "BSL-1.0"},
	{"CC0", "CC0-1.0"},
	{"Expat", "MIT"},
	{"MPL-1", "MPL-1.0"},
	{"MPL-2", "MPL-2.0"},
	{"PSF-2", "PSF-2.0"},
	{"Python-2", "Python-2.0"},
	{"Unicode", "Unicode-DFS-2016"},
	{"W3C-Software", "W3C"},
};

/* Names that both write alike, but for case. */
static const char *const same[] = {"0BSD", "AFL-2.1", "AFL-3.0", "Apache-1.0", "Apache-1.1",
	"Apache-2.0", "Artistic-1.0", "Artistic-2.0", "BSD-1-Clause", "BSD-2-Clause",
	"BSD-3-Clause", "BSD-4-Clause", "BSD-4-Clause-UC", "BSL-1.0", "bzip2-1.0.6", "CC-BY-3.0",
	"CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0", "CDDL-1.0", "CPL-1.0", "curl",
	"EFL-2.0", "EPL-1.0", "EPL-2.0", "FSFAP", "FSFUL", "FSFULLR", "FTL", "HPND", "ICU", "IJG",
	"ISC", "JSON", "Libpng", "libpng-2.0", "libtiff", "LPPL-1.3c", "MIT", "MIT-0", "MPL-1.0",
	"MPL-1.1", "MPL-2.0", "MS-PL", "NCSA", "NTP", "OFL-1.1", "OLDAP-2.8", "OpenSSL", "PHP-3.01",
	"PostgreSQL", "PSF-2.0", "Python-2.0", "QPL-1.0", "Ruby", "Sendmail", "SGI-B-2.0",
	"Sleepycat", "TCL", "TMate", "Unicode-DFS-2015", "Unicode-DFS-2016", "Unicode-TOU",
	"Unlicense", "UPL-1.0", "Vim", "W3C", "WTFPL", "X11", "Xnet", "Zlib", "ZPL-2.1"};

static const struct row exceptions[] = {
	{"Autoconf", "Autoconf-exception-3.0"},
	{"Autoconf-2", "Autoconf-exception-2.0"},
	{"AutoConf", "Autoconf-exception-3.0"},
	{"Bison", "Bison-exception-2.2"},
	{"Classpath", "Classpath-exception-2.0"},
	{"Font", "Font-exception-2.0"},
	{"GCC", "GCC-exception-3.1"},
	{"GCC Runtime Library", "GCC-exception-3.1"},
	{"GCC-Runtime-Library", "GCC-exception-3.1"},
	{"Libtool", "Libtool-exception"},
};

static const char *find(const struct row *table, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal_ignoring_case(name, str_of(table[i].debian)))
			return table[i].spdx;
	return NULL;
}

/* "2", "2.1", "3.0": appends it with a minor number. */
static bool append_version(struct str version, struct buf *out)
{
	struct str minor = version, major = str_cut(&minor, '.');
	int64_t number;

	if (!str_to_int(major, &number) || (minor.data && !str_to_int(minor, &number)) ||
		major.size > 2 || minor.size > 2)
		return false;
	buf_printf(out, "%.*s.%.*s", str_args(major), minor.data ? (int)minor.size : 1,
		minor.data ? minor.data : "0");
	return true;
}

/* The licences of GNU: "GPL-2+", "LGPL-2.1", "GFDL-NIV-1.3+", "GPL-3-or-later". */
static bool append_gnu(struct str name, struct buf *out)
{
	static const struct {
		const char *debian, *spdx, *behind;
	} families[] = {
		{"GPL-", "GPL-", ""},
		{"LGPL-", "LGPL-", ""},
		{"AGPL-", "AGPL-", ""},
		{"GFDL-NIV-", "GFDL-", "-no-invariants"},
		{"GFDL-", "GFDL-", ""},
	};
	static const char *const later[] = {"+", "-or-later", " or later"};
	const char *which = "-only";

	for (size_t i = 0; i < countof(later); i++)
		if (str_ends_with(name, later[i])) {
			name.size -= strlen(later[i]);
			which = "-or-later";
		}
	if (str_ends_with(name, "-only"))
		name.size -= strlen("-only");
	for (size_t i = 0; i < countof(families); i++) {
		size_t size = strlen(families[i].debian), before = out->size;
		struct str start = {name.data, size};

		if (name.size <= size ||
			!str_equal_ignoring_case(start, str_of(families[i].debian)))
			continue;
		buf_append_text(out, families[i].spdx);
		if (append_version((struct str){name.data + size, name.size - size}, out)) {
			buf_printf(out, "%s%s", families[i].behind, which);
			return true;
		}
		out->size = before;
		out->data[before] = 0;
	}
	return false;
}

static bool append_simple(struct str name, struct buf *out)
{
	const char *spdx = find(rows, countof(rows), name);

	for (size_t i = 0; !spdx && i < countof(same); i++)
		if (str_equal_ignoring_case(name, str_of(same[i])))
			spdx = same[i];
	if (!spdx)
		return append_gnu(name, out);
	buf_append_text(out, spdx);
	return true;
}

bool licence_name_to_spdx(struct str name, struct buf *out)
{
	static const char with[] = " with ", ending[] = " exception";
	const char *at = memmem(name.data, name.size, with, sizeof(with) - 1);
	size_t before = out->size;

	if (!at)
		return append_simple(name, out);
	struct str licence = {name.data, (size_t)(at - name.data)};
	struct str exception = {at + sizeof(with) - 1,
		name.size - licence.size - (sizeof(with) - 1)};
	if (str_ends_with(exception, ending))
		exception.size -= sizeof(ending) - 1;
	const char *spdx = find(exceptions, countof(exceptions), str_trim(exception));
	if (!spdx || !append_simple(str_trim(licence), out)) {
		out->size = before;
		return false;
	}
	buf_printf(out, " WITH %s", spdx);
	return true;
}
