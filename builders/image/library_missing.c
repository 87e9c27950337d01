#include "builders/image/library_search.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

char *library_guess_package(struct str soname)
{
	/* Debian policy 8.1: the package is named after the SONAME, with a hyphen where digits meet;
	 * those below kept older names. */
	static const char *const odd[][2] = {{"libz.so.1", "zlib1g"},
		{"libstdc++.so.6", "libstdc++6"}, {"libgcc_s.so.1", "libgcc-s1"},
		{"libcrypto.so.3", "libssl3"}, {"libyaml-0.so.2", "libyaml-0-2"},
		{"libc.so.6", "libc6"}, {"libm.so.6", "libc6"}};

	for (size_t i = 0; i < countof(odd); i++)
		if (str_equal_text(soname, odd[i][0]))
			return memory_copy_text(odd[i][1]);

	const char *mark = soname.size ? memmem(soname.data, soname.size, ".so", 3) : NULL;
	if (!mark || !str_starts_with(soname, "lib"))
		return NULL;
	struct buf out = {0};
	size_t stem = (size_t)(mark - soname.data);
	for (size_t i = 0; i < stem; i++)
		buf_append_char(&out, (char)tolower((unsigned char)soname.data[i]));
	if (soname.size > stem + 4) {
		if (isdigit((unsigned char)soname.data[stem - 1]))
			buf_append_char(&out, '-');
		buf_append(&out, mark + 4, soname.size - stem - 4);
	}
	return buf_take(&out);
}

/* A library that lies only in folders for newer processors would not be found on others. */
static void note_variants(const struct library_search *search, struct buf *out)
{
	static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "power9",
		"power10", "z13", "z14", "z15", "z16"};

	for (size_t i = 0; i < search->tried.count; i++)
		for (size_t level = 0; level < countof(levels); level++) {
			scoped(text_free) char *path = memory_format("%s/glibc-hwcaps/%s/%.*s",
				search->tried.items[i], levels[level], str_args(search->name));
			if (access(path, F_OK) == 0)
				buf_printf(out, "; not taken: %s (for newer processors only)",
					path);
		}
}

bool library_search_refuse(const struct library_search *search, struct error *err)
{
	scoped(buf_free) struct buf where = {0};
	scoped(text_free) char *package = library_guess_package(search->name);

	for (size_t i = 0; i < search->tried.count; i++)
		buf_printf(&where, "%s%s", i ? ", " : "", search->tried.items[i]);
	for (size_t i = 0; i < search->other.count; i++)
		buf_printf(&where, "; not taken: %s", search->other.items[i]);
	note_variants(search, &where);
	error_raise(err, ERROR_NOT_FOUND,
		"the library %.*s, needed by %s, was not found; searched %s",
		str_args(search->name), search->asker->name, buf_text(&where));
	for (const struct library *o = search->asker; o->asker; o = o->asker)
		error_while(err, "adding %s, needed by %s", o->name, o->asker->name);
	if (search->asker->file->elf.no_default_folders)
		return error_next(err,
			"%s is linked with -z nodefaultlib, so the system's folders do not count: "
			"give it a -Wl,-rpath that leads to the library",
			search->asker->name);
	if (getenv("LD_LIBRARY_PATH"))
		return error_next(err,
			"LD_LIBRARY_PATH is set here, but an image has none: link the program with "
			"-Wl,-rpath,'$ORIGIN' and put the library beside it");
	if (package)
		return error_next(err,
			"on Debian it is probably in the package %s; one you built yourself is "
			"found when the program is linked with -Wl,-rpath,'$ORIGIN'",
			package);
	return error_next(err,
		"install it, or link the program with -Wl,-rpath,'$ORIGIN' when it lies beside it");
}
