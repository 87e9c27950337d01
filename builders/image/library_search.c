#include "builders/image/library_search.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/loader_cache.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

enum { CACHE_LIMIT = 64 << 20 };

struct multiarch_row {
	const char *architecture, *name;
};

static const struct multiarch_row multiarch_names[] = {
	{"amd64", "x86_64-linux-gnu"},
	{"arm64", "aarch64-linux-gnu"},
	{"386", "i386-linux-gnu"},
	{"arm", "arm-linux-gnueabihf"},
	{"riscv64", "riscv64-linux-gnu"},
	{"ppc64le", "powerpc64le-linux-gnu"},
	{"s390x", "s390x-linux-gnu"},
	{"loong64", "loongarch64-linux-gnu"},
};

static const char *multiarch_of(const char *architecture)
{
	for (size_t i = 0; i < countof(multiarch_names); i++)
		if (text_equal(multiarch_names[i].architecture, architecture))
			return multiarch_names[i].name;
	return "unknown-linux-gnu";
}

void library_places_default(struct library_places *places)
{
	const char *multiarch = multiarch_of(places->architecture);

	strings_printf(&places->folders, "/lib/%s", multiarch);
	strings_printf(&places->folders, "/usr/lib/%s", multiarch);
	strings_add(&places->folders, "/lib64");
	strings_add(&places->folders, "/usr/lib64");
	strings_add(&places->folders, "/lib");
	strings_add(&places->folders, "/usr/lib");
}

void library_places_free(struct library_places *places)
{
	strings_free(&places->folders);
	buf_free(&places->cache);
}

void library_search_free(struct library_search *search)
{
	strings_free(&search->tried);
	strings_free(&search->other);
	text_free(&search->path);
	text_free(&search->image_path);
	elf_file_close(&search->file);
}

/* Is there a library of the right kind at path? As the loader does, one for another machine is
 * passed over. */
bool library_search_file(struct library_search *search, const char *path)
{
	struct error ignored = {0};

	if (access(path, F_OK) != 0)
		return false;
	if (!elf_file_open(path, &search->file, &ignored)) {
		strings_printf(&search->other, "%s (%s)", path, ignored.message);
		error_ignore(&ignored, "the loader looks on as well, when it can");
		return false;
	}
	if (!text_equal(elf_architecture(&search->file.elf), search->places->architecture)) {
		strings_printf(&search->other, "%s (made for another machine)", path);
		elf_file_close(&search->file);
		return false;
	}
	search->path = memory_copy_text(path);
	return true;
}

static bool try_folder(struct library_search *search, const char *host, const char *image)
{
	scoped(text_free) char *path = memory_format("%s/%.*s", host, str_args(search->name));

	if (!strings_contain(&search->tried, host))
		strings_add(&search->tried, host);
	if (!library_search_file(search, path))
		return false;
	if (!text_equal(host, image))
		search->image_path = memory_format("%s/%.*s", image, str_args(search->name));
	return true;
}

/* Replaces $NAME and ${NAME} of the loader at the start of piece by value, when it is there. */
static bool expand_token(struct str *piece, const char *token, const char *value, struct buf *out)
{
	size_t size = strlen(token);
	bool braces = piece->size > 1 && piece->data[1] == '{';
	size_t skip = braces ? 2 : 1;

	if (piece->size < skip + size + braces || memcmp(piece->data + skip, token, size) != 0)
		return false;
	if (braces && piece->data[skip + size] != '}')
		return false;
	if (!braces && piece->size > skip + size &&
		(isalnum((unsigned char)piece->data[skip + size]) ||
			piece->data[skip + size] == '_'))
		return false;
	buf_append_text(out, value);
	skip += size + braces;
	piece->data += skip;
	piece->size -= skip;
	return true;
}

/* One folder of a RPATH or RUNPATH with its tokens filled in. */
static char *expand(const struct library_places *places, struct str piece, const char *origin)
{
	scoped(text_free) char *lib = memory_format("lib/%s", multiarch_of(places->architecture));
	struct buf out = {0};

	while (piece.size > 0) {
		if (piece.data[0] == '$' &&
			(expand_token(&piece, "ORIGIN", origin, &out) ||
				expand_token(&piece, "LIB", lib, &out) ||
				expand_token(&piece, "PLATFORM",
					text_equal(places->architecture, "amd64")
						? "x86_64"
						: places->architecture,
					&out)))
			continue;
		buf_append_char(&out, piece.data[0]);
		piece.data++;
		piece.size--;
	}
	return buf_take(&out);
}

/* A library found through a path of the machine that built it works here, but the path is in the
 * program and in the image: another folder gives another digest. */
static void warn_of_build_folder(struct library_search *search, struct str piece)
{
	static const char *const lasting[] = {"/usr/", "/lib", "/opt/", "$", "/nix/store/"};
	scoped(text_free) char *text = str_copy(piece);

	for (size_t i = 0; i < countof(lasting); i++)
		if (text_starts_with(text, lasting[i]))
			return;
	strings_printf(search->places->warnings,
		"%s finds %.*s through the absolute path \"%s\", which the image then has too; "
		"link "
		"with -Wl,-rpath,'$ORIGIN' so that the folder of the build does not matter",
		search->asker->name, str_args(search->name), text);
}

static bool try_path_list(struct library_search *search, const struct library *owner,
	struct str list)
{
	while (list.data) {
		struct str piece = str_cut(&list, ':');
		/* An empty or relative part means the working folder, which an image has none of. */
		scoped(text_free) char *host = expand(search->places, piece, owner->host);
		scoped(text_free) char *image = expand(search->places, piece, owner->folder);
		if (!host || host[0] != '/')
			continue;
		scoped(text_free) char *clean_host = path_normalise(host);
		scoped(text_free) char *clean_image = path_normalise(image);
		if (try_folder(search, clean_host, clean_image)) {
			warn_of_build_folder(search, piece);
			return true;
		}
	}
	return false;
}

static bool try_cached(void *context, struct str path)
{
	struct library_search *search = context;
	scoped(text_free) char *text = str_copy(path);

	if (!library_search_file(search, text))
		return false;
	scoped(text_free) char *folder = path_parent(text);
	if (!strings_contain(&search->places->folders, folder))
		search->image_path = memory_format("%s/%.*s", search->places->folders.items[0],
			str_args(search->name));
	return true;
}

static void read_cache(struct library_places *places)
{
	struct error ignored = {0};

	places->cache_read = true;
	if (!file_read(places->cache_path, CACHE_LIMIT, &places->cache, &ignored))
		error_ignore(&ignored, "without a cache the default folders remain");
}

static bool try_rpaths(struct library_search *search)
{
	for (const struct library *l = search->asker; l; l = l->asker)
		if (l->file.elf.runpath.size == 0 && l->file.elf.rpath.size > 0 &&
			try_path_list(search, l, l->file.elf.rpath))
			return true;
	return false;
}

bool library_search_run(struct library_search *search)
{
	struct library_places *places = search->places;
	const struct elf *elf = &search->asker->file.elf;

	if (elf->runpath.size == 0 ? try_rpaths(search)
				   : try_path_list(search, search->asker, elf->runpath))
		return true;
	if (elf->no_default_folders)
		return false;
	if (places->cache_path) {
		if (!places->cache_read)
			read_cache(places);
		if (loader_cache_find(buf_str(&places->cache), search->name, try_cached, search))
			return true;
		strings_add(&search->tried, "ld.so.cache");
	}
	for (size_t i = 0; i < places->folders.count; i++)
		if (try_folder(search, places->folders.items[i], places->folders.items[i]))
			return true;
	return false;
}

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

bool library_search_refuse(const struct library_search *search, struct error *err)
{
	scoped(buf_free) struct buf where = {0};
	scoped(text_free) char *package = library_guess_package(search->name);

	for (size_t i = 0; i < search->tried.count; i++)
		buf_printf(&where, "%s%s", i ? ", " : "", search->tried.items[i]);
	for (size_t i = 0; i < search->other.count; i++)
		buf_printf(&where, "; not taken: %s", search->other.items[i]);
	error_raise(err, ERROR_NOT_FOUND,
		"the library %.*s, needed by %s, was not found; searched %s",
		str_args(search->name), search->asker->name, buf_text(&where));
	for (const struct library *o = search->asker; o->asker; o = o->asker)
		error_while(err, "adding %s, needed by %s", o->name, o->asker->name);
	if (package)
		return error_next(err,
			"on Debian it is probably in the package %s; one you built yourself is "
			"found "
			"when the program is linked with -Wl,-rpath,'$ORIGIN'",
			package);
	return error_next(err,
		"install it, or link the program with -Wl,-rpath,'$ORIGIN' when it lies beside it");
}
