#include "builders/evidence/sbom_model.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/path.h"
#include "builders/evidence/linker_map.h"
#include "builders/image/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

void sbom_free(struct sbom *sbom)
{
	for (size_t i = 0; i < sbom->file_count; i++)
		free(sbom->files[i].needs);
	for (size_t i = 0; i < sbom->package_count; i++) {
		sbom_licence_free(&sbom->packages[i].licence);
		free(sbom->packages[i].url);
	}
	free(sbom->files);
	free(sbom->packages);
	strings_free(&sbom->archives);
	package_database_free(&sbom->own);
	*sbom = (struct sbom){0};
}

const char *sbom_image_name(const struct image *image)
{
	return path_base(image->program);
}

/* The characters that the package URL specification leaves as they are. */
static void append_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == ':')
			buf_append_char(out, ':');
		else
			percent_append(out, (struct str){text, 1}, false);
	}
}

char *sbom_image_url(const struct image *image)
{
	char digest[DIGEST_TEXT_SIZE];
	struct buf url = {0};

	digest_to_text(&image->digest, digest);
	buf_append_text(&url, "pkg:oci/");
	for (const char *at = sbom_image_name(image); *at; at++)
		append_escaped(&url,
			(char[]){*at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at, 0});
	buf_append_char(&url, '@');
	percent_append(&url, str_of(digest), false);
	buf_printf(&url, "?arch=%s", image->architecture);
	return buf_take(&url);
}

void sbom_id(const char *text, char out[SBOM_ID_SIZE])
{
	struct digest digest = digest_of(text, strlen(text));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	memcpy(out, hex, SBOM_ID_SIZE - 1);
	out[SBOM_ID_SIZE - 1] = 0;
}

void sbom_put_time(struct json_writer *w, const char *key, int64_t time_s)
{
	char text[TIME_TEXT_SIZE];

	time_to_rfc3339(time_s * 1000, text);
	char *dot = strchr(text, '.');
	if (dot)
		memcpy(dot, "Z", 2);
	json_put_text(w, key, text);
}

void sbom_put_hex(struct json_writer *w, const char *key, const void *bytes, size_t size)
{
	scoped(buf_free) struct buf hex = {0};

	hex_append(&hex, bytes, size);
	json_put_str(w, key, buf_str(&hex));
}

/* pkg:deb/debian/NAME@VERSION?arch=…&distro=debian-12, and the source package where scanners could
 * not guess it. */
static char *url_of(const struct sbom *sbom, const struct package *package)
{
	const char *version = package_database_distribution_version(sbom->database);
	const char *system = package_database_distribution(sbom->database);
	struct buf url = {0};

	buf_append_text(&url, "pkg:deb/");
	append_escaped(&url, system);
	buf_append_char(&url, '/');
	append_escaped(&url, package->name);
	buf_append_char(&url, '@');
	append_escaped(&url, package->version);
	buf_append_text(&url, "?arch=");
	append_escaped(&url, package->architecture);
	if (version[0]) {
		buf_append_text(&url, "&distro=");
		append_escaped(&url, system);
		buf_append_char(&url, '-');
		append_escaped(&url, version);
	}
	bool same_version = text_equal(package->source_version, package->version);
	if (!text_equal(package->source, package->name) || !same_version) {
		buf_append_text(&url, "&upstream=");
		append_escaped(&url, package->source);
		if (!same_version) {
			buf_append_text(&url, "%40");
			append_escaped(&url, package->source_version);
		}
	}
	return buf_take(&url);
}

/* The entry of a package, a new one when there is none yet. */
static struct sbom_package *note_package(struct sbom *sbom, const struct package *package)
{
	for (size_t i = sbom->package_count; i-- > 0;)
		if (sbom->packages[i].package == package)
			return &sbom->packages[i];
	sbom->packages = memory_resize(sbom->packages,
		(sbom->package_count + 1) * sizeof(sbom->packages[0]));
	struct sbom_package *added = &sbom->packages[sbom->package_count++];
	*added = (struct sbom_package){.package = package, .url = url_of(sbom, package)};
	return added;
}

static const struct package *find_package(struct sbom *sbom, const char *path)
{
	char real[PATH_MAX];
	const struct package *package = NULL;

	if (path[0] == '/')
		package = package_database_find(sbom->database, path);
	if (!package && path[0] == '/' && realpath(path, real))
		package = package_database_find(sbom->database, real);
	return package;
}

/* Object files of no package are the program itself. Of an archive that was built here only the name
 * is said: its path is this machine's. */
static bool read_linker_map(struct sbom *sbom, const struct sbom_options *options,
	struct error *err)
{
	scoped(linker_map_free) struct linker_map map = {0};
	struct strings *lists[] = {&map.archives, &map.objects};

	if (!options->linker_map)
		return true;
	if (!linker_map_read(options->linker_map, &map, err))
		return false;
	for (size_t i = 0; i < countof(lists); i++)
		for (size_t j = 0; j < lists[i]->count; j++) {
			const char *path = lists[i]->items[j], *name = path_base(path);
			const struct package *package = find_package(sbom, path);

			if (package)
				note_package(sbom, package)->is_static = true;
			else if (i == 0 && !strings_contain(&sbom->archives, name))
				strings_add(&sbom->archives, name);
		}
	strings_sort(&sbom->archives);
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct package *x = ((const struct sbom_package *)a)->package;
	const struct package *y = ((const struct sbom_package *)b)->package;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->architecture, y->architecture);
}

static void hash_text(struct hasher *hasher, const char *text)
{
	hasher_add(hasher, text, strlen(text) + 1);
}

/* The image's digest stands for its files and, by their status.d entries, for its packages. */
static void identify(struct sbom *sbom)
{
	struct hasher *hasher = hasher_new();

	hash_text(hasher, "sbom 1 " DOGSHORE_VERSION);
	hasher_add(hasher, sbom->image->digest.bytes, sizeof(sbom->image->digest.bytes));
	hash_text(hasher, sbom->image->base_name ? sbom->image->base_name : "");
	for (size_t i = 0; i < sbom->package_count; i++) {
		hash_text(hasher, sbom->packages[i].url);
		hash_text(hasher, sbom->packages[i].is_static ? "static" : "");
	}
	for (size_t i = 0; i < sbom->archives.count; i++)
		hash_text(hasher, sbom->archives.items[i]);
	sbom->identity = hasher_finish(hasher);
	hasher_free(&hasher);
}

bool sbom_begin(const struct image *image, const struct sbom_options *options,
	struct sbom *out_sbom, struct error *err)
{
	scoped(sbom_free) struct sbom sbom = {.image = image, .database = image->packages};
	scoped(text_free) char *index =
		options->cache_folder ? path_join(options->cache_folder, "packages") : NULL;
	struct package_places places = {.dpkg = options->dpkg_folder, .index = index};

	if (!sbom.database && options->linker_map) {
		if (!package_database_open(&places, &sbom.own, err))
			return false;
		sbom.database = sbom.own;
	}
	for (size_t i = 0; i < image->tree.count; i++)
		if (image->tree.entries[i].package)
			note_package(&sbom, image->tree.entries[i].package)->in_image = true;
	if (!read_linker_map(&sbom, options, err))
		return error_while(err, "finding the static libraries of \"%s\"", image->program);
	if (sbom.package_count > 0)
		qsort(sbom.packages, sbom.package_count, sizeof(sbom.packages[0]), by_name);
	identify(&sbom);
	*out_sbom = sbom;
	sbom = (struct sbom){0};
	return true;
}

static bool hash_file(struct sbom_file *file, struct error *err)
{
	enum { PIECE = 128 << 10 };
	const char *source = file->entry->source;
	scoped(descriptor_close) int fd = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	scoped(hasher_free) struct hasher *sha256 = hasher_new(), *sha1 = hasher_new_sha1();
	scoped(buf_free) struct buf piece = {0};
	char *room = buf_reserve(&piece, PIECE);
	bool first = true;
	ssize_t got;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", source);
	if (!tree_entry_is_unchanged(file->entry, fd)) {
		error_raise(err, ERROR_CONFLICT, "\"%s\" changed after the image was built",
			source);
		return error_next(err, "build the image when nothing writes to its files any more");
	}
	while ((got = read(fd, room, PIECE)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_raise_errno(err, "read \"%s\"", source);
		if (first)
			file->is_elf = elf_is((struct str){room, (size_t)got});
		hasher_add(sha256, room, (size_t)got);
		hasher_add(sha1, room, (size_t)got);
		first = false;
	}
	file->sha256 = hasher_finish(sha256);
	hasher_finish_sha1(sha1, file->sha1);
	return true;
}

static void hash_content(struct sbom_file *file)
{
	struct hasher *sha1 = hasher_new_sha1();
	struct str content = {file->entry->content, (size_t)file->entry->size_bytes};

	file->sha256 = digest_of_str(content);
	hasher_add(sha1, content.data, content.size);
	hasher_finish_sha1(sha1, file->sha1);
	hasher_free(&sha1);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct sbom_file *)a)->entry->path,
		((const struct sbom_file *)b)->entry->path);
}

static int place_of(const struct sbom *sbom, const struct package *package)
{
	for (size_t i = 0; package && i < sbom->package_count; i++)
		if (sbom->packages[i].package == package)
			return (int)i;
	return -1;
}

static bool hash_one(void *context, size_t index, struct error *err)
{
	struct sbom *sbom = context;
	struct sbom_file *file = &sbom->files[index];

	if (file->entry->source)
		return hash_file(file, err);
	hash_content(file);
	return true;
}

static bool collect_files(struct sbom *sbom, struct error *err)
{
	const struct tree *tree = &sbom->image->tree;

	sbom->files = memory_new_array(tree->count, sizeof(sbom->files[0]));
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		struct sbom_file *file = &sbom->files[sbom->file_count];

		if (entry->kind != ENTRY_FILE)
			continue;
		*file = (struct sbom_file){.entry = entry,
			.package = place_of(sbom, entry->package)};
		sbom->file_count++;
	}
	/* Two digests of every byte: as long as packing them. */
	if (!parallel_each(sbom->file_count, hash_one, sbom, err))
		return false;
	if (sbom->file_count > 0)
		qsort(sbom->files, sbom->file_count, sizeof(sbom->files[0]), by_path);
	return true;
}

/* The file that a path of the tree leads to, through links; -1: none. */
static int file_at(const struct sbom *sbom, const char *path)
{
	const struct tree *tree = &sbom->image->tree;
	scoped(text_free) char *at = memory_copy_text(path);

	for (int links = 0; links < 40; links++) {
		const struct tree_entry *entry = tree_find(tree, at);
		struct sbom_file key = {.entry = entry};
		struct error err = {0};

		if (!entry || entry->kind == ENTRY_FOLDER)
			return -1;
		if (entry->kind == ENTRY_FILE) {
			const struct sbom_file *file = bsearch(&key, sbom->files, sbom->file_count,
				sizeof(sbom->files[0]), by_path);
			return file ? (int)(file - sbom->files) : -1;
		}
		scoped(text_free) char *parent = path_parent(at);
		scoped(text_free) char *target =
			entry->target[0] == '/' ? memory_copy_text(entry->target)
						: memory_format("%s/%s", parent, entry->target);
		text_free(&at);
		if (!tree_resolve(tree, target, &at, &err)) {
			error_ignore(&err, "a link that leads nowhere");
			return -1;
		}
	}
	return -1;
}

/* Where the loader finds a library of that name in the image: the closure laid it down once. */
static int find_library(const struct sbom *sbom, struct str name)
{
	const struct tree *tree = &sbom->image->tree;

	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		if (entry->kind != ENTRY_FOLDER && str_equal_text(name, path_base(entry->path)))
			return file_at(sbom, entry->path);
	}
	return -1;
}

static void find_needs(struct sbom *sbom)
{
	for (size_t i = 0; i < sbom->file_count; i++) {
		struct sbom_file *file = &sbom->files[i];
		scoped(elf_file_close) struct elf_file elf = {0};
		struct error ignored = {0};

		if (!file->is_elf)
			continue;
		if (!elf_file_open(file->entry->source, &elf, &ignored)) {
			/* The closure read what runs; another ELF file may be of any kind. */
			error_ignore(&ignored, "it asks for nothing that we could tell");
			continue;
		}
		file->needs = memory_new_array(elf.elf.needed_count, sizeof(file->needs[0]));
		for (size_t j = 0; j < elf.elf.needed_count; j++) {
			int needed = find_library(sbom, elf.elf.needed[j]);
			if (needed >= 0)
				file->needs[file->need_count++] = (size_t)needed;
		}
	}
}

static bool read_licence(void *context, size_t index, struct error *err)
{
	enum { COPYRIGHT_LIMIT = 64 << 20 };
	struct sbom *sbom = context;
	struct sbom_package *package = &sbom->packages[index];
	scoped(buf_free) struct buf text = {0};

	if (!package->package->copyright)
		return true;
	if (!file_read(package->package->copyright, COPYRIGHT_LIMIT, &text, err))
		return false;
	package->licence = sbom_licence_parse(buf_str(&text));
	return true;
}

bool sbom_complete(struct sbom *sbom, struct error *err)
{
	if (!collect_files(sbom, err) ||
		!parallel_each(sbom->package_count, read_licence, sbom, err))
		return false;
	find_needs(sbom);
	return true;
}

const struct sbom_file *sbom_program(const struct sbom *sbom)
{
	int at = file_at(sbom, sbom->image->program + strspn(sbom->image->program, "/"));

	return at < 0 ? NULL : &sbom->files[at];
}
