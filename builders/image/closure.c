#include "builders/image/closure_inside.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/loader_folders.h"

#include <stdlib.h>
#include <unistd.h>

enum { LIBRARY_LIMIT = 16384 };

struct closure *closure_new(const struct closure_options *options, struct tree *tree,
	struct strings *warnings)
{
	struct closure *closure = memory_new(sizeof(*closure));

	closure->options = *options;
	closure->places = (struct library_places){.architecture = options->architecture,
		.cache_path = options->loader_cache ? options->loader_cache : "/etc/ld.so.cache",
		.root = options->root,
		.warnings = warnings};
	closure->tree = tree;
	closure->warnings = warnings;
	if (!options->folders)
		library_places_default(&closure->places);
	for (size_t i = 0; options->folders && options->folders[i]; i++)
		strings_add(&closure->places.folders, options->folders[i]);
	return closure;
}

static void library_free(struct library *library)
{
	free(library->name);
	free(library->asked);
	free(library->path);
	free(library->image_path);
	free(library->host);
	free(library->folder);
	free(library->why);
	free(library);
}

static void drop_from(struct closure *closure, size_t first)
{
	while (closure->count > first)
		library_free(closure->libraries[--closure->count]);
	closure->done = first;
}

void closure_free(struct closure **closure)
{
	if (!*closure)
		return;
	drop_from(*closure, 0);
	free((*closure)->libraries);
	library_places_free(&(*closure)->places);
	strings_free(&(*closure)->suggested);
	free(*closure);
	*closure = NULL;
}

static struct library *find_between(const struct closure *closure, size_t from, size_t to,
	struct str name)
{
	for (size_t i = from; i < to; i++) {
		struct library *library = closure->libraries[i];
		if (library->role != LIBRARY_VARIANT &&
			(str_equal_text(name, library->name) ||
				str_equal_text(name, library->asked)))
			return library;
	}
	return NULL;
}

struct library *closure_find(const struct closure *closure, struct str name)
{
	struct library *library = find_between(closure, closure->scope, closure->count, name);

	if (!library && closure->libraries[closure->scope]->opener)
		library = find_between(closure, 0, closure->main_count, name);
	return library;
}

bool closure_has(const struct closure *closure, const char *stem)
{
	for (size_t i = 0; i < closure->count; i++)
		if (text_starts_with(closure->libraries[i]->name, stem))
			return true;
	return false;
}

size_t closure_count(const struct closure *closure)
{
	return closure->count;
}

const struct library *closure_at(const struct closure *closure, size_t index)
{
	return closure->libraries[index];
}

/* libc.so.6, the loader and libgcc_s are the same for every program of one system, so they share a
 * layer; libm and the others are not in every image. */
static enum layer_kind layer_of(const char *name)
{
	static const char *const base[] = {"ld-linux", "ld-musl", "ld64.so", "ld.so", "libc.so",
		"libgcc_s.so"};

	for (size_t i = 0; i < countof(base); i++)
		if (text_starts_with(name, base[i]))
			return LAYER_BASE;
	return LAYER_LIBRARIES;
}

/* Appends a library to the queue. $ORIGIN of a library is the folder it was found in, links or not. */
static struct library *enqueue(struct closure *closure, struct str name, const char *path,
	const char *image_path, const struct elf_file *file)
{
	struct library *library = memory_new(sizeof(*library));

	library->name = str_copy(file->elf.soname.size ? file->elf.soname : name);
	library->asked = str_copy(name);
	library->path = memory_copy_text(path);
	library->image_path = memory_copy_text(image_path);
	library->host = path_parent(path);
	library->folder = path_parent(image_path);
	library->file = file;
	closure->libraries = memory_resize(closure->libraries,
		(closure->count + 1) * sizeof(closure->libraries[0]));
	closure->libraries[closure->count++] = library;
	return library;
}

static bool check_machine(const struct closure *closure, const struct elf *elf, const char *path,
	struct error *err)
{
	const char *wanted = closure->places.architecture, *got = elf_architecture(elf);

	if (text_equal(got, wanted))
		return true;
	const char *name = elf_machine_name(elf->machine);
	if (name)
		error_raise(err, ERROR_INVALID,
			"\"%s\" is made for %s (%d-bit), the image is for linux/%s", path, name,
			elf->is_64 ? 64 : 32, wanted);
	else
		error_raise(err, ERROR_INVALID,
			"\"%s\" is made for machine number %d, the image is for linux/%s", path,
			elf->machine, wanted);
	if (got)
		return error_next(err,
			"compile it for %s, or ask for the other image: --platform linux/%s",
			wanted, got);
	return error_next(err, "compile it for %s", wanted);
}

/* The same library for newer processors, in the levels that were asked for. */
static bool enqueue_variants(struct closure *closure, struct library *base, struct error *err)
{
	const struct strings *levels = closure->options.hwcaps;

	for (size_t i = 0; levels && i < levels->count; i++) {
		const char *level = levels->items[i];
		scoped(text_free) char *path =
			memory_format("%s/glibc-hwcaps/%s/%s", base->host, level, base->asked);
		scoped(text_free) char *image_path =
			memory_format("%s/glibc-hwcaps/%s/%s", base->folder, level, base->asked);
		const struct elf_file *file;

		if (access(path, F_OK) != 0)
			continue;
		if (!library_places_open(&closure->places, path, &file, err) ||
			!check_machine(closure, &file->elf, path, err))
			return false;
		struct library *variant =
			enqueue(closure, str_of(base->asked), path, image_path, file);
		variant->role = LIBRARY_VARIANT;
		variant->with_links = base->with_links;
		variant->asker = base->asker;
		variant->why = memory_format("it replaces %s on processors of level %s",
			base->asked, level);
	}
	return true;
}

static bool enqueue_found(struct closure *closure, struct library_search *search,
	enum library_role role, const char *why, struct error *err)
{
	if (closure->count >= LIBRARY_LIMIT)
		return error_raise(err, ERROR_LIMIT, "more than %d libraries", LIBRARY_LIMIT);
	struct library *library = enqueue(closure, search->name, search->path,
		search->image_path ? search->image_path : search->path, search->file);
	library->role = role;
	library->with_links = !search->image_path;
	library->asker = search->asker;
	library->why = memory_copy_text(why);
	return enqueue_variants(closure, library, err);
}

static bool add_needed(struct closure *closure, struct library *asker, struct str name,
	struct error *err)
{
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = asker,
		.name = name};

	if (closure_find(closure, name) || (closure->musl && str_starts_with(name, "libc.")))
		return true;
	scoped(text_free) char *why = memory_format("%s needs it", asker->name);
	if (memchr(name.data, '/', name.size)) {
		scoped(text_free) char *path = str_copy(name);
		if (path[0] != '/') {
			error_raise(err, ERROR_INVALID,
				"%s needs the library \"%s\" by a path relative to the working "
				"folder",
				asker->name, path);
			return error_next(err,
				"give the library a name (-Wl,-soname,NAME) and link again");
		}
		strings_add(&search.tried, "nowhere else, as it is named by its path");
		if (!library_search_file(&search, path))
			return library_search_refuse(&search, err);
	} else if (!library_search_run(&search)) {
		return library_search_refuse(&search, err);
	}
	return enqueue_found(closure, &search, LIBRARY_NEEDED, why, err);
}

bool closure_find_by_name(struct closure *closure, struct library *asker, const char *name,
	const char *why, bool *out_found, struct error *err)
{
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = asker,
		.name = str_of(name)};

	*out_found = true;
	if (closure_find(closure, search.name))
		return true;
	if (library_search_run(&search))
		return enqueue_found(closure, &search, LIBRARY_BY_NAME, why, err);
	*out_found = false;
	return true;
}

static bool drain(struct closure *closure, struct error *err)
{
	while (closure->done < closure->count) {
		struct library *library = closure->libraries[closure->done++];
		const struct elf *elf = &library->file->elf;

		for (size_t i = 0; i < elf->needed_count; i++)
			if (!add_needed(closure, library, elf->needed[i], err))
				return false;
		if (!companions_add_libraries(closure, library, err) ||
			!closure_follow_notes(closure, library, err))
			return false;
	}
	return true;
}

/* musl's loader is its libc, and it has folders of its own: a file beside it names them. */
static bool set_up_musl(struct closure *closure, struct library *program, struct error *err)
{
	scoped(buf_free) struct buf list = {0};
	scoped(text_free) char *machine =
		memory_copy_text(strstr(program->file->elf.interpreter.data, "ld-musl-") + 8);
	char *end = strstr(machine, ".so");
	struct error ignored = {0};

	if (end)
		*end = 0;
	closure->musl = true;
	closure->places.cache_path = NULL;
	strings_free(&closure->places.folders);
	scoped(text_free) char *path = memory_format("/etc/ld-musl-%s.path", machine);
	if (!file_read(path, 64 << 10, &list, &ignored)) {
		error_ignore(&ignored, "the file is optional");
		buf_append_text(&list, "/lib:/usr/local/lib:/usr/lib");
	} else if (!tree_add_host_file(closure->tree, path, LAYER_BASE,
			   "musl's loader reads its folders there", err)) {
		return false;
	}
	struct str rest = buf_str(&list);
	while (rest.size > 0) {
		size_t size = strcspn(rest.data, ":\n");
		if (size > 0 && rest.data[0] == '/')
			strings_add_owned(&closure->places.folders,
				str_copy((struct str){rest.data, size}));
		size += size < rest.size;
		rest = (struct str){rest.data + size, rest.size - size};
	}
	return true;
}

/* The default folders are those of the loader that will do the work, and $LIB follows from them. */
static void set_up_glibc(struct closure *closure, const struct elf_file *loader)
{
	struct strings folders = {0};

	if (closure->options.folders || !loader_folders_read(loader->bytes, &folders))
		return;
	strings_free(&closure->places.folders);
	closure->places.folders = folders;
	text_free(&closure->places.lib);
	closure->places.lib = memory_copy_text(folders.items[0] + 1);
}

static bool add_loader(struct closure *closure, struct library *program, struct error *err)
{
	scoped(text_free) char *path = str_copy(program->file->elf.interpreter);
	scoped(text_free) char *why = memory_format("it loads %s (its PT_INTERP)", program->name);
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = program,
		.name = str_of(path_base(path))};

	if (!library_search_file(&search, path)) {
		error_raise(err, ERROR_NOT_FOUND,
			"the loader \"%s\", which %s asks for, is not here", path, program->name);
		if (search.other.count > 0)
			error_while(err, "looking at %s", search.other.items[0]);
		return error_next(err,
			"install the C library it was linked with (on Debian libc6 or musl), "
			"or link the program statically");
	}
	if (!str_starts_with(search.name, "ld-musl-"))
		set_up_glibc(closure, search.file);
	else if (!set_up_musl(closure, program, err))
		return false;
	return enqueue_found(closure, &search, LIBRARY_LOADER, why, err);
}

static bool check_static(const struct closure *closure, const struct elf_file *file,
	const char *source, struct error *err)
{
	unsigned needs = elf_static_needs(&file->elf, file->bytes);
	const char *what = needs & ELF_STATIC_NAMES ? "looks up hosts, users or groups"
						    : "converts character sets (iconv)";

	if (needs == 0)
		return true;
	if (closure->options.allow_static_glibc) {
		strings_printf(closure->warnings,
			"%s is linked statically with glibc and %s: at run time that needs the "
			"very same glibc, which the image does not have",
			path_base(source), what);
		return true;
	}
	error_raise(err, ERROR_INVALID,
		"\"%s\" is linked statically with glibc and %s: at run time that needs the very "
		"same glibc, which the image would not have",
		source, what);
	return error_next(err,
		"link it dynamically, or with musl; --allow static-glibc builds the image anyway");
}

/* What the scope found goes into the tree. A library that another program brought stays as it is. */
static bool settle(struct closure *closure, struct error *err)
{
	for (size_t i = closure->scope; i < closure->count; i++) {
		const struct library *l = closure->libraries[i];
		enum layer_kind layer = layer_of(l->asked);
		bool known = l->role == LIBRARY_PROGRAM;

		for (size_t k = 0; !known && k < closure->scope; k++)
			known = closure->libraries[k]->role != LIBRARY_PROGRAM &&
				text_equal(closure->libraries[k]->path, l->path) &&
				text_equal(closure->libraries[k]->image_path, l->image_path);
		if (known || library_is_in_root(&closure->places, l->path))
			continue;
		if (l->with_links ? !tree_add_host_file(closure->tree, l->path, layer, l->why, err)
				  : !tree_add_file(closure->tree, l->image_path, l->path, layer,
					    l->why, err))
			return false;
	}
	return true;
}

static bool resolve(struct closure *closure, const char *source, const char *image_path,
	struct error *err)
{
	const struct elf_file *file;

	if (!library_places_open(&closure->places, source, &file, err) ||
		!check_machine(closure, &file->elf, source, err) ||
		!check_static(closure, file, source, err))
		return false;
	/* The kernel tells a program its real folder. */
	scoped(text_free) char *real = realpath(source, NULL);
	struct library *program =
		enqueue(closure, str_of(path_base(source)), real ? real : source, image_path, file);
	bool plug_in = file->elf.interpreter.size == 0;
	if (plug_in && closure->scope > 0)
		program->opener = closure->libraries[0];
	return (plug_in || add_loader(closure, program, err)) && drain(closure, err) &&
	       closure_check_versions(closure, err) && settle(closure, err);
}

bool closure_add(struct closure *closure, const char *source, const char *image_path,
	struct error *err)
{
	closure->scope = closure->count;
	if (!resolve(closure, source, image_path, err)) {
		drop_from(closure, closure->scope);
		return false;
	}
	if (closure->scope == 0)
		closure->main_count = closure->count;
	return true;
}
