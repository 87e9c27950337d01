#include "builders/image/closure.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/library_search.h"

#include <stdlib.h>
#include <unistd.h>

enum { LIBRARY_LIMIT = 4096 };

struct closure {
	struct library_places places;
	const char *certificates;   /* borrowed: the bundle */
	struct tree *tree;          /* borrowed */
	struct strings *warnings;   /* borrowed */
	struct library **libraries; /* owned, each too; in order of adding: the queue */
	size_t count, done;
	bool musl, has_certificates;
};

struct closure *closure_new(const struct closure_options *options, struct tree *tree,
	struct strings *warnings)
{
	struct closure *closure = memory_new(sizeof(*closure));

	closure->places = (struct library_places){.architecture = options->architecture,
		.cache_path = options->loader_cache ? options->loader_cache : "/etc/ld.so.cache",
		.warnings = warnings};
	closure->certificates = options->certificates ? options->certificates
						      : "/etc/ssl/certs/ca-certificates.crt";
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
	free(library->host);
	free(library->folder);
	elf_file_close(&library->file);
	free(library);
}

void closure_free(struct closure **closure)
{
	if (!*closure)
		return;
	for (size_t i = 0; i < (*closure)->count; i++)
		library_free((*closure)->libraries[i]);
	free((*closure)->libraries);
	library_places_free(&(*closure)->places);
	free(*closure);
	*closure = NULL;
}

static struct library *find(const struct closure *closure, struct str name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (str_equal_text(name, closure->libraries[i]->name) ||
			str_equal_text(name, closure->libraries[i]->asked))
			return closure->libraries[i];
	return NULL;
}

bool closure_has(const struct closure *closure, const char *stem)
{
	for (size_t i = 0; i < closure->count; i++)
		if (text_starts_with(closure->libraries[i]->name, stem))
			return true;
	return false;
}

/* libc.so.6, the loader and libgcc_s are the same for every program of one system, so they share a
 * layer; libm and the others are not in every image. */
static enum layer_kind layer_of(struct str name)
{
	static const char *const base[] = {"ld-linux", "ld-musl", "ld64.so", "ld.so", "libc.so",
		"libgcc_s.so"};

	for (size_t i = 0; i < countof(base); i++)
		if (str_starts_with(name, base[i]))
			return LAYER_BASE;
	return LAYER_LIBRARIES;
}

/* Appends an library to the queue. path: where it is here; image_path: where it will be. $ORIGIN of
 * a library is the folder it was found in, links or not. */
static void enqueue(struct closure *closure, struct str name, const char *path,
	const char *image_path, struct elf_file *file, struct library *asker)
{
	struct library *library = memory_new(sizeof(*library));

	library->name = str_copy(file->elf.soname.size ? file->elf.soname : name);
	library->asked = str_copy(name);
	library->host = path_parent(path);
	library->folder = path_parent(image_path);
	library->file = *file;
	library->asker = asker;
	*file = (struct elf_file){0};
	closure->libraries = memory_resize(closure->libraries,
		(closure->count + 1) * sizeof(closure->libraries[0]));
	closure->libraries[closure->count++] = library;
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

static bool add_library(struct closure *closure, struct library_search *search, const char *why,
	struct error *err)
{
	enum layer_kind layer = layer_of(search->name);

	if (closure->count == LIBRARY_LIMIT)
		return error_raise(err, ERROR_LIMIT, "more than %d libraries", LIBRARY_LIMIT);
	if (search->image_path) {
		if (!tree_add_file(closure->tree, search->image_path, search->path, layer, why,
			    err))
			return false;
	} else if (!tree_add_host_file(closure->tree, search->path, layer, why, err)) {
		return false;
	}
	enqueue(closure, search->name, search->path,
		search->image_path ? search->image_path : search->path, &search->file,
		search->asker);
	return true;
}

static bool add_needed(struct closure *closure, struct library *asker, struct str name,
	struct error *err)
{
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = asker,
		.name = name};

	if (find(closure, name) || (closure->musl && str_starts_with(name, "libc.")))
		return true;
	scoped(text_free) char *why = memory_format("%s needs it", asker->name);
	if (memchr(name.data, '/', name.size)) {
		scoped(text_free) char *path = str_copy(name);
		if (path[0] != '/')
			return error_raise(err, ERROR_INVALID,
				"%s needs the library \"%s\" by a path relative to the working "
				"folder",
				asker->name, path);
		strings_add(&search.tried, "nowhere else, as it is named by its path");
		if (!library_search_file(&search, path))
			return library_search_refuse(&search, err);
	} else if (!library_search_run(&search)) {
		return library_search_refuse(&search, err);
	}
	return add_library(closure, &search, why, err);
}

/* Like add_needed for what is loaded by name at run time; missing is only worth a warning. */
static bool add_optional(struct closure *closure, struct library *asker, const char *name,
	const char *why, struct error *err)
{
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = asker,
		.name = str_of(name)};

	if (find(closure, search.name))
		return true;
	if (library_search_run(&search))
		return add_library(closure, &search, why, err);
	strings_printf(closure->warnings, "%s is not here and not in the image: %s", name, why);
	return true;
}

static bool add_if_here(struct closure *closure, const char *path, const char *why,
	struct error *err)
{
	if (access(path, R_OK) != 0)
		return true;
	return tree_add_host_file(closure->tree, path, LAYER_CERTIFICATES, why, err);
}

/* libssl has OPENSSLDIR=/usr/lib/ssl compiled in, on Debian; cert.pem there leads to the bundle. */
static bool add_certificates(struct closure *closure, const char *library, struct error *err)
{
	const char *bundle = closure->certificates;
	scoped(text_free) char *why = memory_format("%s verifies peers with it", library);

	if (closure->has_certificates)
		return true;
	closure->has_certificates = true;
	if (access(bundle, R_OK) != 0) {
		strings_printf(closure->warnings,
			"%s is in the image, but \"%s\" is not here: TLS connections will fail to "
			"verify (install ca-certificates)",
			library, bundle);
		return true;
	}
	if (!tree_add_file(closure->tree, "/etc/ssl/certs/ca-certificates.crt", bundle,
		    LAYER_CERTIFICATES, why, err))
		return false;
	return text_starts_with(library, "libgnutls") ||
	       (add_if_here(closure, "/usr/lib/ssl/cert.pem", why, err) &&
		       add_if_here(closure, "/usr/lib/ssl/openssl.cnf", "OpenSSL reads it", err));
}

static bool add_run_time_needs(struct closure *closure, struct library *library, struct error *err)
{
	if (text_starts_with(library->name, "libc.so.6"))
		return add_optional(closure, library, "libgcc_s.so.1",
			"libc loads it for pthread_cancel and backtraces", err);
	if (text_starts_with(library->name, "libssl.so") ||
		text_starts_with(library->name, "libgnutls.so"))
		return add_certificates(closure, library->name, err);
	return true;
}

static bool drain(struct closure *closure, struct error *err)
{
	while (closure->done < closure->count) {
		struct library *library = closure->libraries[closure->done++];
		const struct elf *elf = &library->file.elf;

		for (size_t i = 0; i < elf->needed_count; i++)
			if (!add_needed(closure, library, elf->needed[i], err))
				return false;
		if (!add_run_time_needs(closure, library, err))
			return false;
	}
	return true;
}

/* musl's loader is its libc, and it has folders of its own: a file beside it names them. */
static bool set_up_musl(struct closure *closure, struct library *program, struct error *err)
{
	scoped(buf_free) struct buf list = {0};
	scoped(text_free) char *machine =
		memory_copy_text(strstr(program->file.elf.interpreter.data, "ld-musl-") + 8);
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

static bool add_loader(struct closure *closure, struct library *program, struct error *err)
{
	scoped(text_free) char *path = str_copy(program->file.elf.interpreter);
	scoped(text_free) char *why = memory_format("it loads %s (its PT_INTERP)", program->name);
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = program,
		.name = str_of(path_base(path))};

	if (find(closure, search.name))
		return true;
	if (!library_search_file(&search, path)) {
		error_raise(err, ERROR_NOT_FOUND,
			"the loader \"%s\", which %s asks for, is not here", path, program->name);
		if (search.other.count > 0)
			error_while(err, "looking at %s", search.other.items[0]);
		return error_next(err,
			"install the C library it was linked with (on Debian libc6 or musl), "
			"or link the program statically");
	}
	if (str_starts_with(search.name, "ld-musl-") && !set_up_musl(closure, program, err))
		return false;
	if (!tree_add_host_file(closure->tree, path, LAYER_BASE, why, err))
		return false;
	struct str name = search.name;
	enqueue(closure, name, path, path, &search.file, program);
	return true;
}

bool closure_add(struct closure *closure, const char *source, const char *image_path,
	struct error *err)
{
	scoped(elf_file_close) struct elf_file file = {0};

	if (!elf_file_open(source, &file, err) || !check_machine(closure, &file.elf, source, err))
		return false;
	if (elf_static_needs(&file.elf, file.bytes) & ELF_STATIC_NAMES)
		strings_printf(closure->warnings,
			"%s is linked statically with glibc and looks up hosts, users or groups: "
			"at run "
			"time that needs the very same glibc, which the image does not have. Link "
			"it "
			"dynamically, or with musl.",
			path_base(source));
	/* The kernel tells a program its real folder. */
	scoped(text_free) char *real = realpath(source, NULL);
	enqueue(closure, str_of(path_base(source)), real ? real : source, image_path, &file, NULL);

	struct library *program = closure->libraries[closure->count - 1];
	if (program->file.elf.interpreter.size > 0 && !add_loader(closure, program, err))
		return false;
	return drain(closure, err);
}
