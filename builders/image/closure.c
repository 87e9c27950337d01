#include "builders/image/closure.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/loader_cache.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

enum { OBJECT_LIMIT = 4096, CACHE_LIMIT = 64 << 20 };

/* A program or library that is in the image. */
struct object {
	char *name;   /* owned; its DT_SONAME, else how it was asked for, or the program's name */
	char *asked;  /* owned; how it was asked for first */
	char *host;   /* owned; the file's folder here, for $ORIGIN */
	char *folder; /* owned; its folder in the image, for $ORIGIN */
	struct elf_file file;
	struct object *asker; /* who needed it; NULL for programs */
};

struct closure {
	struct closure_options options;
	struct tree *tree;        /* borrowed */
	struct strings *warnings; /* borrowed */
	struct object **objects;  /* owned, each too; in order of adding: the queue */
	size_t count, done;
	struct strings folders; /* default folders */
	struct buf cache;       /* content of ld.so.cache */
	bool cache_read, musl, has_certificates;
	char multiarch[64]; /* what $LIB means: "lib/x86_64-linux-gnu" */
};

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

struct closure *closure_new(const struct closure_options *options, struct tree *tree,
	struct strings *warnings)
{
	struct closure *closure = memory_new(sizeof(*closure));
	const char *multiarch = multiarch_of(options->architecture);

	closure->options = *options;
	closure->tree = tree;
	closure->warnings = warnings;
	snprintf(closure->multiarch, sizeof(closure->multiarch), "lib/%s", multiarch);
	if (options->folders) {
		for (size_t i = 0; options->folders[i]; i++)
			strings_add(&closure->folders, options->folders[i]);
	} else {
		strings_printf(&closure->folders, "/lib/%s", multiarch);
		strings_printf(&closure->folders, "/usr/lib/%s", multiarch);
		strings_add(&closure->folders, "/lib64");
		strings_add(&closure->folders, "/usr/lib64");
		strings_add(&closure->folders, "/lib");
		strings_add(&closure->folders, "/usr/lib");
	}
	return closure;
}

static void object_free(struct object *object)
{
	free(object->name);
	free(object->asked);
	free(object->host);
	free(object->folder);
	elf_file_close(&object->file);
	free(object);
}

void closure_free(struct closure **closure)
{
	if (!*closure)
		return;
	for (size_t i = 0; i < (*closure)->count; i++)
		object_free((*closure)->objects[i]);
	free((*closure)->objects);
	strings_free(&(*closure)->folders);
	buf_free(&(*closure)->cache);
	free(*closure);
	*closure = NULL;
}

static struct object *find(const struct closure *closure, struct str name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (str_equal_text(name, closure->objects[i]->name) ||
			str_equal_text(name, closure->objects[i]->asked))
			return closure->objects[i];
	return NULL;
}

bool closure_has(const struct closure *closure, const char *stem)
{
	for (size_t i = 0; i < closure->count; i++)
		if (text_starts_with(closure->objects[i]->name, stem))
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

/* Appends an object to the queue. path: where it is here; image_path: where it will be. $ORIGIN of
 * a library is the folder it was found in, links or not. */
static void enqueue(struct closure *closure, struct str name, const char *path,
	const char *image_path, struct elf_file *file, struct object *asker)
{
	struct object *object = memory_new(sizeof(*object));

	object->name = str_copy(file->elf.soname.size ? file->elf.soname : name);
	object->asked = str_copy(name);
	object->host = path_parent(path);
	object->folder = path_parent(image_path);
	object->file = *file;
	object->asker = asker;
	*file = (struct elf_file){0};
	closure->objects =
		memory_resize(closure->objects, (closure->count + 1) * sizeof(closure->objects[0]));
	closure->objects[closure->count++] = object;
}

static bool check_machine(const struct closure *closure, const struct elf *elf, const char *path,
	struct error *err)
{
	const char *wanted = closure->options.architecture, *got = elf_architecture(elf);

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

/* One search for one name: what was tried is kept for the error. */
struct search {
	struct closure *closure;
	struct object *asker;
	struct str name;
	struct strings tried; /* folders, "ld.so.cache" */
	struct strings other; /* files of that name for another machine */
	/* The result. */
	bool found;
	char *path;       /* owned; here */
	char *image_path; /* owned; NULL: the same path, with the links that lead there */
	struct elf_file file;
};

static void search_free(struct search *search)
{
	strings_free(&search->tried);
	strings_free(&search->other);
	text_free(&search->path);
	text_free(&search->image_path);
	elf_file_close(&search->file);
}

/* Is there a library of the right kind at path? As the loader does, one for another machine is
 * passed over. */
static bool try_file(struct search *search, const char *path)
{
	struct error ignored = {0};

	if (access(path, F_OK) != 0)
		return false;
	if (!elf_file_open(path, &search->file, &ignored)) {
		strings_printf(&search->other, "%s (%s)", path, ignored.message);
		error_ignore(&ignored, "the loader looks on as well, when it can");
		return false;
	}
	if (!text_equal(elf_architecture(&search->file.elf),
		    search->closure->options.architecture)) {
		strings_printf(&search->other, "%s (made for another machine)", path);
		elf_file_close(&search->file);
		return false;
	}
	search->found = true;
	search->path = memory_copy_text(path);
	return true;
}

static bool try_folder(struct search *search, const char *host, const char *image)
{
	scoped(text_free) char *path = memory_format("%s/%.*s", host, str_args(search->name));

	if (!strings_contain(&search->tried, host))
		strings_add(&search->tried, host);
	if (!try_file(search, path))
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
static char *expand(const struct closure *closure, struct str piece, const char *origin)
{
	struct buf out = {0};

	while (piece.size > 0) {
		if (piece.data[0] == '$' &&
			(expand_token(&piece, "ORIGIN", origin, &out) ||
				expand_token(&piece, "LIB", closure->multiarch, &out) ||
				expand_token(&piece, "PLATFORM",
					text_equal(closure->options.architecture, "amd64")
						? "x86_64"
						: closure->options.architecture,
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
static void warn_of_build_folder(struct search *search, struct str piece)
{
	static const char *const lasting[] = {"/usr/", "/lib", "/opt/", "$", "/nix/store/"};
	scoped(text_free) char *text = str_copy(piece);

	for (size_t i = 0; i < countof(lasting); i++)
		if (text_starts_with(text, lasting[i]))
			return;
	strings_printf(search->closure->warnings,
		"%s finds %.*s through the absolute path \"%s\", which the image then has too; "
		"link "
		"with -Wl,-rpath,'$ORIGIN' so that the folder of the build does not matter",
		search->asker->name, str_args(search->name), text);
}

static bool try_path_list(struct search *search, const struct object *owner, struct str list)
{
	while (list.data) {
		struct str piece = str_cut(&list, ':');
		/* An empty or relative part means the working folder, which an image has none of. */
		scoped(text_free) char *host = expand(search->closure, piece, owner->host);
		scoped(text_free) char *image = expand(search->closure, piece, owner->folder);
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
	struct search *search = context;
	scoped(text_free) char *text = str_copy(path);

	if (!try_file(search, text))
		return false;
	scoped(text_free) char *folder = path_parent(text);
	if (!strings_contain(&search->closure->folders, folder))
		search->image_path = memory_format("%s/%.*s", search->closure->folders.items[0],
			str_args(search->name));
	return true;
}

static void read_cache(struct closure *closure)
{
	struct error ignored = {0};
	const char *path =
		closure->options.loader_cache ? closure->options.loader_cache : "/etc/ld.so.cache";

	closure->cache_read = true;
	if (!file_read(path, CACHE_LIMIT, &closure->cache, &ignored))
		error_ignore(&ignored, "without a cache the default folders remain");
}

static bool search_library(struct search *search)
{
	struct closure *closure = search->closure;
	const struct elf *elf = &search->asker->file.elf;

	if (elf->runpath.size == 0)
		for (struct object *o = search->asker; o; o = o->asker)
			if (o->file.elf.runpath.size == 0 && o->file.elf.rpath.size > 0 &&
				try_path_list(search, o, o->file.elf.rpath))
				return true;
	if (elf->runpath.size > 0 && try_path_list(search, search->asker, elf->runpath))
		return true;
	if (elf->no_default_folders)
		return false;
	if (!closure->musl) {
		if (!closure->cache_read)
			read_cache(closure);
		if (loader_cache_find(buf_str(&closure->cache), search->name, try_cached, search))
			return true;
		strings_add(&search->tried, "ld.so.cache");
	}
	for (size_t i = 0; i < closure->folders.count; i++)
		if (try_folder(search, closure->folders.items[i], closure->folders.items[i]))
			return true;
	return false;
}

char *closure_guess_package(struct str soname)
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

static bool raise_missing(const struct search *search, struct error *err)
{
	scoped(buf_free) struct buf where = {0};
	scoped(text_free) char *package = closure_guess_package(search->name);

	for (size_t i = 0; i < search->tried.count; i++)
		buf_printf(&where, "%s%s", i ? ", " : "", search->tried.items[i]);
	for (size_t i = 0; i < search->other.count; i++)
		buf_printf(&where, "; not taken: %s", search->other.items[i]);
	error_raise(err, ERROR_NOT_FOUND,
		"the library %.*s, needed by %s, was not found; searched %s",
		str_args(search->name), search->asker->name, buf_text(&where));
	for (const struct object *o = search->asker; o->asker; o = o->asker)
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

static bool add_library(struct search *search, const char *why, struct error *err)
{
	struct closure *closure = search->closure;
	enum layer_kind layer = layer_of(search->name);

	if (closure->count == OBJECT_LIMIT)
		return error_raise(err, ERROR_LIMIT, "more than %d libraries", OBJECT_LIMIT);
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

static bool add_needed(struct closure *closure, struct object *asker, struct str name,
	struct error *err)
{
	scoped(search_free) struct search search = {.closure = closure,
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
		if (!try_file(&search, path))
			return raise_missing(&search, err);
	} else if (!search_library(&search)) {
		return raise_missing(&search, err);
	}
	return add_library(&search, why, err);
}

/* Like add_needed for what is loaded by name at run time; missing is only worth a warning. */
static bool add_optional(struct closure *closure, struct object *asker, const char *name,
	const char *why, struct error *err)
{
	scoped(search_free) struct search search = {.closure = closure,
		.asker = asker,
		.name = str_of(name)};

	if (find(closure, search.name))
		return true;
	if (search_library(&search))
		return add_library(&search, why, err);
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
	const char *bundle = closure->options.certificates ? closure->options.certificates
							   : "/etc/ssl/certs/ca-certificates.crt";
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

static bool add_run_time_needs(struct closure *closure, struct object *object, struct error *err)
{
	if (text_starts_with(object->name, "libc.so.6"))
		return add_optional(closure, object, "libgcc_s.so.1",
			"libc loads it for pthread_cancel and backtraces", err);
	if (text_starts_with(object->name, "libssl.so") ||
		text_starts_with(object->name, "libgnutls.so"))
		return add_certificates(closure, object->name, err);
	return true;
}

static bool drain(struct closure *closure, struct error *err)
{
	while (closure->done < closure->count) {
		struct object *object = closure->objects[closure->done++];
		const struct elf *elf = &object->file.elf;

		for (size_t i = 0; i < elf->needed_count; i++)
			if (!add_needed(closure, object, elf->needed[i], err))
				return false;
		if (!add_run_time_needs(closure, object, err))
			return false;
	}
	return true;
}

/* musl's loader is its libc, and it has folders of its own: a file beside it names them. */
static bool set_up_musl(struct closure *closure, struct object *program, struct error *err)
{
	scoped(buf_free) struct buf list = {0};
	scoped(text_free) char *machine =
		memory_copy_text(strstr(program->file.elf.interpreter.data, "ld-musl-") + 8);
	char *end = strstr(machine, ".so");
	struct error ignored = {0};

	if (end)
		*end = 0;
	closure->musl = true;
	strings_free(&closure->folders);
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
			strings_add_owned(&closure->folders,
				str_copy((struct str){rest.data, size}));
		size += size < rest.size;
		rest = (struct str){rest.data + size, rest.size - size};
	}
	return true;
}

static bool add_loader(struct closure *closure, struct object *program, struct error *err)
{
	scoped(text_free) char *path = str_copy(program->file.elf.interpreter);
	scoped(text_free) char *why = memory_format("it loads %s (its PT_INTERP)", program->name);
	scoped(search_free) struct search search = {.closure = closure,
		.asker = program,
		.name = str_of(path_base(path))};

	if (find(closure, search.name))
		return true;
	if (!try_file(&search, path)) {
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
	if (elf_is_static_with_nss(&file.elf, file.bytes))
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

	struct object *program = closure->objects[closure->count - 1];
	if (program->file.elf.interpreter.size > 0 && !add_loader(closure, program, err))
		return false;
	return drain(closure, err);
}
