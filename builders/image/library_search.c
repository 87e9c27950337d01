#include "builders/image/library_search.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/loader_cache.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

enum { CACHE_LIMIT = 64 << 20 };

struct architecture_row {
	const char *architecture;
	const char *multiarch; /* the folder's name on Debian */
	const char *platform;  /* what $PLATFORM stands for on the oldest processor */
};

static const struct architecture_row architectures[] = {
	{"amd64", "x86_64-linux-gnu", "x86_64"},
	{"arm64", "aarch64-linux-gnu", "aarch64"},
	{"386", "i386-linux-gnu", "i686"},
	{"arm", "arm-linux-gnueabihf", "v7l"},
	{"riscv64", "riscv64-linux-gnu", ""},
	{"ppc64le", "powerpc64le-linux-gnu", "power8"},
	{"s390x", "s390x-linux-gnu", "z13"},
	{"loong64", "loongarch64-linux-gnu", "loongarch64"},
};

static const struct architecture_row *row_of(const char *architecture)
{
	static const struct architecture_row unknown = {"", "unknown-linux-gnu", ""};

	for (size_t i = 0; i < countof(architectures); i++)
		if (text_equal(architectures[i].architecture, architecture))
			return &architectures[i];
	return &unknown;
}

void library_places_default(struct library_places *places)
{
	const char *multiarch = row_of(places->architecture)->multiarch;

	strings_printf(&places->folders, "/lib/%s", multiarch);
	strings_printf(&places->folders, "/usr/lib/%s", multiarch);
	strings_add(&places->folders, "/lib64");
	strings_add(&places->folders, "/usr/lib64");
	strings_add(&places->folders, "/lib");
	strings_add(&places->folders, "/usr/lib");
	places->lib = memory_format("lib/%s", multiarch);
}

bool library_places_open(struct library_places *places, const char *path,
	const struct elf_file **out_file, struct error *err)
{
	struct elf_file file = {0};

	for (size_t i = 0; i < places->opened_count; i++)
		if (text_equal(places->opened[i].path, path)) {
			*out_file = places->opened[i].file;
			return true;
		}
	if (!elf_file_open(path, &file, err))
		return false;
	places->opened = memory_resize(places->opened,
		(places->opened_count + 1) * sizeof(places->opened[0]));
	struct opened_file *opened = &places->opened[places->opened_count++];
	opened->path = memory_copy_text(path);
	opened->file = memory_new(sizeof(file));
	*opened->file = file;
	*out_file = opened->file;
	return true;
}

void library_places_free(struct library_places *places)
{
	for (size_t i = 0; i < places->opened_count; i++) {
		free(places->opened[i].path);
		elf_file_close(places->opened[i].file);
		free(places->opened[i].file);
	}
	free(places->opened);
	strings_free(&places->folders);
	text_free(&places->lib);
	buf_free(&places->cache);
}

void library_search_free(struct library_search *search)
{
	strings_free(&search->tried);
	strings_free(&search->other);
	text_free(&search->path);
	text_free(&search->image_path);
}

/* Is there a library of the right kind at path? As the loader does, one for another machine is
 * passed over. */
bool library_search_file(struct library_search *search, const char *path)
{
	struct error ignored = {0};
	const struct elf_file *file;

	if (access(path, F_OK) != 0)
		return false;
	if (!library_places_open(search->places, path, &file, &ignored)) {
		strings_printf(&search->other, "%s (%s)", path, ignored.message);
		error_ignore(&ignored, "the loader looks on as well, when it can");
		return false;
	}
	if (!text_equal(elf_architecture(&file->elf), search->places->architecture)) {
		strings_printf(&search->other, "%s (made for another machine)", path);
		return false;
	}
	search->file = file;
	search->path = memory_copy_text(path);
	return true;
}

bool library_is_in_root(const struct library_places *places, const char *path)
{
	size_t size = places->root ? strlen(places->root) : 0;

	return size > 0 && strncmp(path, places->root, size) == 0 && path[size] == '/';
}

static bool try_folder(struct library_search *search, const char *host, const char *image)
{
	if (search->places->root && text_equal(host, image)) {
		scoped(text_free) char *first = memory_format("%s%s", search->places->root, host);
		if (file_is_folder(first) && try_folder(search, first, image))
			return true;
	}
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
	const char *platform = row_of(places->architecture)->platform;
	struct buf out = {0};

	while (piece.size > 0) {
		if (piece.data[0] == '$' &&
			(expand_token(&piece, "ORIGIN", origin, &out) ||
				expand_token(&piece, "LIB", places->lib ? places->lib : "lib",
					&out) ||
				expand_token(&piece, "PLATFORM", platform, &out)))
			continue;
		buf_append_char(&out, piece.data[0]);
		piece.data++;
		piece.size--;
	}
	return buf_take(&out);
}

/* A library found through a path of the machine that built it works here, but the path is in the
 * program and in the image: another folder gives another digest. And $PLATFORM means "haswell" to some
 * loaders on newer processors: which library is taken should not depend on the machine. */
static void warn_of_folder(struct library_search *search, struct str piece)
{
	static const char *const lasting[] = {"/usr/", "/lib", "/opt/", "$", "/nix/store/"};
	scoped(text_free) char *text = str_copy(piece);

	if (strstr(text, "$PLATFORM") || strstr(text, "${PLATFORM}"))
		strings_printf(search->places->warnings,
			"%s finds %.*s through $PLATFORM, which newer processors may give another "
			"meaning: the image has the folder for %s only",
			search->asker->name, str_args(search->name),
			row_of(search->places->architecture)->platform);
	for (size_t i = 0; i < countof(lasting); i++)
		if (text_starts_with(text, lasting[i]))
			return;
	strings_printf(search->places->warnings,
		"%s finds %.*s through the absolute path \"%s\", which the image then has too; "
		"link with -Wl,-rpath,'$ORIGIN' so that the folder of the build does not matter",
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
			warn_of_folder(search, piece);
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
	for (const struct library *l = search->asker; l; l = l->asker ? l->asker : l->opener) {
		const struct elf *elf = &l->file->elf;
		if (elf->runpath.size == 0 && elf->rpath.size > 0 &&
			try_path_list(search, l, elf->rpath))
			return true;
	}
	return false;
}

bool library_search_run(struct library_search *search)
{
	struct library_places *places = search->places;
	const struct elf *elf = &search->asker->file->elf;

	if (elf->runpath.size == 0 ? try_rpaths(search)
				   : try_path_list(search, search->asker, elf->runpath))
		return true;
	if (elf->no_default_folders) {
		strings_add(&search->tried, "no default folder, as DF_1_NODEFLIB says");
		return false;
	}
	for (size_t i = 0; places->root && i < places->folders.count; i++) {
		scoped(text_free) char *folder =
			memory_format("%s%s", places->root, places->folders.items[i]);
		if (try_folder(search, folder, places->folders.items[i]))
			return true;
	}
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
