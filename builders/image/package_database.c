#include "builders/image/package_database.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/path.h"
#include "builders/image/package_index.h"
#include "builders/image/package_status.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	STATUS_LIMIT = 256 << 20,
	LIST_LIMIT = 64 << 20,
	DIVERSIONS_LIMIT = 16 << 20,
	RELEASE_LIMIT = 64 << 10,
};

/* A file at from was moved to to, because package by (":" an administrator) put its own there. */
struct diversion {
	uint64_t from, to; /* hashes of the paths */
	struct str by;
};

struct package_database {
	char *dpkg, *root; /* owned; root "" for "/" */
	struct str status; /* mapped */
	struct package_index index;
	struct package **packages;                 /* owned, by number; NULL until asked for */
	char *distribution, *distribution_version; /* owned */
};

static void package_free(struct package *package)
{
	if (!package)
		return;
	free(package->name);
	free(package->version);
	free(package->architecture);
	free(package->source);
	free(package->source_version);
	free(package->copyright);
	free(package->md5sums);
	free(package);
}

void package_database_free(struct package_database **database)
{
	struct package_database *db = *database;

	if (!db)
		return;
	for (size_t i = 0; db->packages && i < db->index.count; i++)
		package_free(db->packages[i]);
	free(db->packages);
	package_index_free(&db->index);
	if (db->status.size > 0)
		munmap((void *)(uintptr_t)db->status.data, db->status.size);
	free(db->dpkg);
	free(db->root);
	free(db->distribution);
	free(db->distribution_version);
	free(db);
	*database = NULL;
}

struct str package_field(const struct package *package, const char *name)
{
	return stanza_field(package->stanza, name);
}

/* False when there is no such file. */
static bool look(const char *folder, const char *name, struct stat *out_status)
{
	scoped(text_free) char *path = path_join(folder, name);

	return stat(path, out_status) == 0;
}

static int64_t ns_of(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static bool is_merged(const char *root)
{
	scoped(text_free) char *lib = memory_format("%s/lib", root);
	struct stat status;

	return lstat(lib, &status) == 0 && S_ISLNK(status.st_mode);
}

/* Maps the status file; dpkg replaces it by renaming, so ours stays as it is. */
static bool map_status(struct package_database *db, struct package_stamp *stamp, struct error *err)
{
	scoped(text_free) char *path = path_join(db->dpkg, "status");
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || status.st_size == 0)
		return true;
	if (!S_ISREG(status.st_mode))
		return error_raise(err, ERROR_INVALID, "\"%s\" is not a file", path);
	if (status.st_size > STATUS_LIMIT)
		return error_raise(err, ERROR_LIMIT, "\"%s\" is larger than %d MiB", path,
			STATUS_LIMIT >> 20);
	void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return error_raise_errno(err, "map \"%s\"", path);
	db->status = (struct str){map, (size_t)status.st_size};
	*stamp = (struct package_stamp){.status_ns = ns_of(&status.st_mtim),
		.status_size = status.st_size,
		.status_inode = (int64_t)status.st_ino,
		.merged = is_merged(db->root)};
	if (look(db->dpkg, "info", &status))
		stamp->info_ns = ns_of(&status.st_mtim);
	if (look(db->dpkg, "diversions", &status)) {
		stamp->diversions_ns = ns_of(&status.st_mtim);
		stamp->diversions_size = status.st_size;
	}
	return true;
}

static struct str next_line(struct str *rest)
{
	return str_cut(rest, '\n');
}

/* Three lines each: from, to, by. Owned array. */
static struct diversion *read_diversions(const char *dpkg, bool merged, struct buf *text,
	size_t *out_count)
{
	scoped(text_free) char *path = path_join(dpkg, "diversions");
	struct diversion *list = NULL;
	struct error err = {0};
	size_t count = 0;

	if (!file_read(path, DIVERSIONS_LIMIT, text, &err))
		error_ignore(&err, "few machines have diversions");
	for (struct str rest = buf_str(text); rest.size > 0;) {
		struct str from = next_line(&rest), to = next_line(&rest), by = next_line(&rest);

		list = memory_resize(list, (count + 1) * sizeof(list[0]));
		list[count++] = (struct diversion){package_index_hash(from, merged),
			package_index_hash(to, merged), by};
	}
	*out_count = count;
	return list;
}

/* An installed package, and the hashes of its paths. */
struct listed {
	struct str stanza;
	uint64_t *hashes; /* owned */
	size_t count;
};

/* One reading of all lists. */
struct reading {
	const char *dpkg; /* borrowed */
	bool merged;
	struct diversion *diversions; /* owned */
	size_t diversion_count;
	struct buf diversion_text;
	struct listed *packages; /* owned */
	size_t count, capacity;
};

static void reading_free(struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		free(reading->packages[i].hashes);
	free(reading->packages);
	free(reading->diversions);
	buf_free(&reading->diversion_text);
}

/* Where a listed file really lies. */
static uint64_t diverted(const struct reading *reading, uint64_t path, struct str package)
{
	for (size_t i = 0; i < reading->diversion_count; i++) {
		const struct diversion *d = &reading->diversions[i];
		if (d->from == path)
			return str_equal(d->by, package) ? path : d->to;
	}
	return path;
}

static void hash_list(const struct reading *reading, struct str rest, struct listed *package)
{
	struct str name = stanza_field(package->stanza, "Package");
	size_t capacity = 0;

	while (rest.size > 0) {
		struct str path = next_line(&rest);
		/* A folder stands before what is in it; folders are of many packages. */
		bool folder = rest.size > path.size && rest.data[path.size] == '/' &&
			      memcmp(rest.data, path.data, path.size) == 0;

		if (path.size == 0 || path.data[0] != '/' || folder)
			continue;
		if (package->count == capacity) {
			capacity = capacity ? capacity * 2 : 64;
			package->hashes = memory_resize(package->hashes,
				capacity * sizeof(package->hashes[0]));
		}
		package->hashes[package->count++] =
			diverted(reading, package_index_hash(path, reading->merged), name);
	}
}

/* The name of a file in info/: with the architecture for packages that may be installed for several. */
static char *info_path(const char *dpkg, struct str stanza, const char *ending)
{
	struct str name = stanza_field(stanza, "Package");
	struct str architecture = stanza_field(stanza, "Architecture");
	bool same = str_equal_text(stanza_field(stanza, "Multi-Arch"), "same");

	return same ? memory_format("%s/info/%.*s:%.*s.%s", dpkg, str_args(name),
			      str_args(architecture), ending)
		    : memory_format("%s/info/%.*s.%s", dpkg, str_args(name), ending);
}

/* A name from the status file becomes part of a path. */
static bool is_plain_name(struct str name)
{
	return name.size > 0 && name.size < 256 && name.data[0] != '.' &&
	       !memchr(name.data, '/', name.size) && !memchr(name.data, 0, name.size);
}

static bool is_installed(struct str stanza)
{
	struct str status = stanza_field(stanza, "Status");

	return is_plain_name(stanza_field(stanza, "Package")) &&
	       is_plain_name(stanza_field(stanza, "Architecture")) &&
	       !str_ends_with(status, " not-installed") && !str_ends_with(status, " config-files");
}

static bool read_list(void *context, size_t index, struct error *err)
{
	struct reading *reading = context;
	struct listed *package = &reading->packages[index];
	scoped(text_free) char *path = info_path(reading->dpkg, package->stanza, "list");
	scoped(buf_free) struct buf list = {0};
	struct error ignored = {0};

	(void)err;
	if (file_read(path, LIST_LIMIT, &list, &ignored))
		hash_list(reading, buf_str(&list), package);
	else
		error_ignore(&ignored, "a package without a list owns no file");
	return true;
}

static bool find_installed(struct reading *reading, struct str status, struct error *err)
{
	struct str stanza;

	while (stanza_next(&status, &stanza)) {
		if (!is_installed(stanza))
			continue;
		if (reading->count == PACKAGE_LIMIT)
			return error_raise(err, ERROR_LIMIT, "more than %d packages are installed",
				PACKAGE_LIMIT);
		if (reading->count == reading->capacity) {
			reading->capacity = reading->capacity ? 2 * reading->capacity : 256;
			reading->packages = memory_resize(reading->packages,
				reading->capacity * sizeof(reading->packages[0]));
		}
		reading->packages[reading->count++] = (struct listed){.stanza = stanza};
	}
	return true;
}

static void fill_index(const struct reading *reading, const struct package_stamp *stamp,
	struct str status, struct package_index *out_index)
{
	struct package_index_maker *maker = package_index_maker_new(stamp);
	size_t paths = 0;

	for (size_t i = 0; i < reading->count; i++)
		paths += reading->packages[i].count;
	package_index_reserve(maker, paths);
	for (size_t i = 0; i < reading->count; i++) {
		const struct listed *package = &reading->packages[i];
		struct package_place place = {(uint64_t)(package->stanza.data - status.data),
			package->stanza.size};

		if (!package_index_add_package(maker, place))
			break; /* cannot be: counted before */
		for (size_t j = 0; j < package->count; j++)
			package_index_add_path(maker, package->hashes[j]);
	}
	package_index_finish(maker, out_index);
	package_index_maker_free(&maker);
}

/* Nearly a thousand small files: read side by side. */
static bool build_index(struct package_database *db, const struct package_stamp *stamp,
	struct error *err)
{
	scoped(reading_free) struct reading reading = {.dpkg = db->dpkg, .merged = stamp->merged};

	reading.diversions = read_diversions(db->dpkg, stamp->merged, &reading.diversion_text,
		&reading.diversion_count);
	if (!find_installed(&reading, db->status, err) ||
		!parallel_each(reading.count, read_list, &reading, err))
		return false;
	fill_index(&reading, stamp, db->status, &db->index);
	return true;
}

static bool load_index(struct package_database *db, const struct package_stamp *stamp,
	const char *path, struct error *err)
{
	struct error ignored = {0};

	if (db->status.size == 0 || (path && package_index_read(path, stamp, &db->index)))
		return true;
	if (!build_index(db, stamp, err))
		return error_while(err, "reading what is installed from \"%s\"", db->dpkg);
	if (!path)
		return true;
	if (!package_index_write(&db->index, path, &ignored)) {
		log_trace("image", "package index not kept: %s", ignored.message);
		error_ignore(&ignored, "the index is made again");
		return true;
	}
	/* From the file few pages are needed; and all that reading the lists took is given back. */
	struct package_index kept;
	if (package_index_read(path, stamp, &kept)) {
		package_index_free(&db->index);
		db->index = kept;
	}
	malloc_trim(0);
	return true;
}

/* The value of NAME=value or NAME="value" in os-release; owned, "" when it is not there. */
static char *release_value(struct str text, const char *name)
{
	while (text.size > 0) {
		struct str value = next_line(&text), key = str_cut(&value, '=');

		if (!str_equal_text(key, name) || value.size == 0)
			continue;
		if (value.size >= 2 && (value.data[0] == '"' || value.data[0] == '\''))
			value = (struct str){value.data + 1, value.size - 2};
		return str_copy(value);
	}
	return memory_copy_text("");
}

static void read_release(struct package_database *db)
{
	static const char *const names[] = {"/etc/os-release", "/usr/lib/os-release"};
	scoped(buf_free) struct buf text = {0};

	for (size_t i = 0; i < countof(names) && text.size == 0; i++) {
		scoped(text_free) char *path = memory_format("%s%s", db->root, names[i]);
		struct error err = {0};
		if (!file_read(path, RELEASE_LIMIT, &text, &err))
			error_ignore(&err, "the other name, or it is unknown");
	}
	db->distribution = release_value(buf_str(&text), "ID");
	db->distribution_version = release_value(buf_str(&text), "VERSION_ID");
	if (db->distribution[0] == 0) {
		free(db->distribution);
		db->distribution = memory_copy_text("debian");
	}
}

bool package_database_open(const struct package_places *places,
	struct package_database **out_database, struct error *err)
{
	struct package_database *db = memory_new(sizeof(*db));
	struct package_stamp stamp = {0};

	db->dpkg = memory_copy_text(places->dpkg ? places->dpkg : "/var/lib/dpkg");
	db->root = memory_copy_text(
		places->root && !text_equal(places->root, "/") ? places->root : "");
	if (!map_status(db, &stamp, err) || !load_index(db, &stamp, places->index, err)) {
		package_database_free(&db);
		return false;
	}
	db->packages = memory_new_array(db->index.count, sizeof(db->packages[0]));
	read_release(db);
	*out_database = db;
	return true;
}

/* "name (version)", the version only where it differs from the package's own. */
static void set_source(struct package *package, struct str source)
{
	struct str version = source, name = str_cut(&version, ' ');

	version = str_trim(version);
	package->source = name.size ? str_copy(name) : memory_copy_text(package->name);
	package->source_version = version.size > 2 && version.data[0] == '('
					  ? memory_copy(version.data + 1, version.size - 2)
					  : memory_copy_text(package->version);
}

/* path when a file can be read there, else NULL; takes path. Links are followed, and the folder in
 * /usr/share/doc may itself be a link to that of another package. */
static char *keep_if_there(char *path)
{
	char *real = realpath(path, NULL);

	free(path);
	return real;
}

static struct package *load_package(const struct package_database *db, struct str stanza)
{
	struct package *package = memory_new(sizeof(*package));

	package->name = str_copy(stanza_field(stanza, "Package"));
	package->version = str_copy(stanza_field(stanza, "Version"));
	package->architecture = str_copy(stanza_field(stanza, "Architecture"));
	package->stanza = stanza;
	set_source(package, stanza_field(stanza, "Source"));
	package->copyright = keep_if_there(
		memory_format("%s/usr/share/doc/%s/copyright", db->root, package->name));
	package->md5sums = keep_if_there(info_path(db->dpkg, stanza, "md5sums"));
	return package;
}

/* Empty when the index is damaged. */
static struct str stanza_of(const struct package_database *db, int number)
{
	const struct package_place *place = &db->index.places[number];

	if (place->size > db->status.size || place->offset > db->status.size - place->size)
		return (struct str){0};
	struct str stanza = {db->status.data + place->offset, place->size};
	return is_installed(stanza) ? stanza : (struct str){0};
}

static const struct package *package_at(struct package_database *db, int number)
{
	if (number < 0)
		return NULL;
	struct package **slot = &db->packages[number];
	struct str stanza = stanza_of(db, number);
	if (!*slot && stanza.size > 0)
		*slot = load_package(db, stanza);
	return *slot;
}

const struct package *package_database_find(struct package_database *database, const char *path)
{
	size_t root = strlen(database->root);

	if (strncmp(path, database->root, root) != 0)
		return NULL;
	return package_at(database, package_index_find(&database->index, str_of(path + root)));
}

const struct package *package_database_named(struct package_database *database, const char *name)
{
	for (size_t i = 0; i < database->index.count; i++) {
		struct str stanza = stanza_of(database, (int)i);
		if (str_equal_text(stanza_field(stanza, "Package"), name))
			return package_at(database, (int)i);
	}
	return NULL;
}

const char *package_database_distribution(const struct package_database *database)
{
	return database->distribution;
}

const char *package_database_distribution_version(const struct package_database *database)
{
	return database->distribution_version;
}
