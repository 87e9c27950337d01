#include "builders/image/package_files.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/image/package_status.h"

#include <limits.h>
#include <stdlib.h>

enum { SUMS_LIMIT = 64 << 20 };

/* Folders that packages own files in; what lies elsewhere was built or put there by hand. */
static bool is_of_system(const char *path)
{
	static const char *const folders[] = {"/usr/", "/lib", "/bin/", "/sbin/", "/etc/", "/opt/"};

	if (text_starts_with(path, "/usr/local/"))
		return false;
	for (size_t i = 0; i < countof(folders); i++)
		if (text_starts_with(path, folders[i]))
			return true;
	return false;
}

/* Links are at the same path here as in the image; those that the user's own files bring are not. */
static bool is_link_of_system(const struct tree_entry *entry)
{
	return entry->kind == ENTRY_LINK && entry->layer < LAYER_CONFIGURATION;
}

bool package_files_possible(const struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->entries[i].source && is_of_system(tree->entries[i].source))
			return true;
	return false;
}

static const struct package *package_of_file(struct package_database *database, const char *source)
{
	char real[PATH_MAX];

	if (!is_of_system(source))
		return NULL;
	/* update-ca-certificates makes it out of the package's files, so no list has it. */
	if (text_equal(source, "/etc/ssl/certs/ca-certificates.crt"))
		return package_database_named(database, "ca-certificates");
	const struct package *package = package_database_find(database, source);
	if (package || !realpath(source, real) || text_equal(real, source))
		return package;
	return package_database_find(database, real);
}

static const struct package *package_of_link(struct package_database *database,
	const struct tree_entry *link)
{
	scoped(text_free) char *path = memory_format("/%s", link->path);

	return package_database_find(database, path);
}

/* What a link leads to, NULL when that is not in the tree. */
static const struct tree_entry *target_of(const struct tree *tree, const struct tree_entry *link)
{
	scoped(text_free) char *parent = memory_copy_text(link->path), *path = NULL, *whole = NULL;
	struct error err = {0};
	char *slash = strrchr(parent, '/');

	*(slash ? slash : parent) = 0;
	whole = link->target[0] == '/' ? memory_copy_text(link->target)
				       : memory_format("%s/%s", parent, link->target);
	if (!tree_resolve(tree, whole, &path, &err)) {
		error_ignore(&err, "a link that leads nowhere is of no package");
		return NULL;
	}
	return tree_find(tree, path);
}

/* Names that ldconfig or alternatives made are of the package that they lead to. A chain is followed
 * link by link: each round settles at least its last one. */
static void settle_links(struct tree *tree)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < tree->count; i++) {
			struct tree_entry *entry = &tree->entries[i];
			if (!is_link_of_system(entry) || entry->package)
				continue;
			const struct tree_entry *target = target_of(tree, entry);
			entry->package = target ? target->package : NULL;
			again |= entry->package != NULL;
		}
	}
}

static void find_packages(struct tree *tree, struct package_database *database)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct tree_entry *entry = &tree->entries[i];
		if (entry->package)
			continue;
		if (entry->source)
			entry->package = package_of_file(database, entry->source);
		else if (is_link_of_system(entry))
			entry->package = package_of_link(database, entry);
	}
	settle_links(tree);
}

/* A package of the image and the lowest layer that holds a file of it. */
struct used {
	const struct package *package;
	enum layer_kind layer;
};

struct used_list {
	struct used *items; /* owned; in the order of their first files */
	size_t count;
};

static void used_list_free(struct used_list *list)
{
	free(list->items);
}

static void note(struct used_list *list, const struct package *package, enum layer_kind layer)
{
	for (size_t i = list->count; i-- > 0;) {
		if (list->items[i].package != package)
			continue;
		if (layer < list->items[i].layer)
			list->items[i].layer = layer;
		return;
	}
	list->items = memory_resize(list->items, (list->count + 1) * sizeof(list->items[0]));
	list->items[list->count++] = (struct used){package, layer};
}

/* The fields that are the same on every machine that has this version, in one fixed order. */
static void write_control(const struct package *package, struct buf *out)
{
	static const char *const fields[] = {"Package", "Source", "Version", "Architecture",
		"Multi-Arch", "Essential", "Section", "Maintainer", "Depends", "Pre-Depends",
		"Provides", "Homepage"};

	for (size_t i = 0; i < countof(fields); i++) {
		struct str value = stanza_field(package->stanza, fields[i]);
		if (value.size > 0)
			buf_printf(out, "%s: %.*s\n", fields[i], str_args(value));
	}
	struct str description = stanza_field(package->stanza, "Description");
	buf_append_text(out, "Description: ");
	buf_append_str(out, str_cut(&description, '\n'));
	buf_append_char(out, '\n');
}

/* The lines of dpkg's list ("<sum>  usr/lib/x") whose file is in the same layer: with libc's files in
 * other layers in it, the base layer would be another one for each program. */
static void write_sums(const struct tree *tree, const struct used *used, struct str sums,
	struct buf *out)
{
	while (sums.size > 0) {
		struct str line = str_cut(&sums, '\n'), path = line;
		struct error err = {0};
		char *resolved = NULL;

		str_cut(&path, ' ');
		scoped(text_free) char *text = str_copy(str_trim(path));
		if (text[0] == 0 || !tree_resolve(tree, text, &resolved, &err)) {
			error_ignore(&err, "no path that could be in the image");
			continue;
		}
		const struct tree_entry *entry = tree_find(tree, resolved);
		if (entry && entry->kind == ENTRY_FILE && entry->package == used->package &&
			entry->layer == used->layer)
			buf_printf(out, "%.*s\n", str_args(line));
		free(resolved);
	}
}

/* Adds a file unless the path is taken already: what the user names comes first. */
static bool add_content(struct tree *tree, const char *path, struct str content,
	const struct used *used, const char *why, struct error *err)
{
	scoped(text_free) char *resolved = NULL;

	if (!tree_resolve(tree, path, &resolved, err))
		return false;
	if (tree_find(tree, resolved))
		return true;
	if (!tree_add_content(tree, resolved, content, used->layer, why, err))
		return false;
	tree_set_package(tree, resolved, used->package);
	return true;
}

static bool add_copyright(struct tree *tree, const struct used *used, struct error *err)
{
	scoped(text_free) char *path = NULL, *wanted = NULL;

	if (!used->package->copyright)
		return true;
	wanted = memory_format("/usr/share/doc/%s/copyright", used->package->name);
	if (!tree_resolve(tree, wanted, &path, err))
		return false;
	if (tree_find(tree, path))
		return true;
	if (!tree_add_file(tree, path, used->package->copyright, used->layer,
		    "the package's licence wants it to come along", err))
		return false;
	tree_set_package(tree, path, used->package);
	return true;
}

/* tree is searched for the package's files, so this comes before anything else is added. */
static bool add_status(struct tree *tree, const struct used *used, struct error *err)
{
	const struct package *package = used->package;
	scoped(buf_free) struct buf control = {0}, listed = {0}, sums = {0};
	scoped(text_free) char *path = memory_format("/var/lib/dpkg/status.d/%s", package->name);
	scoped(text_free) char *sums_path = memory_format("%s.md5sums", path);

	write_control(package, &control);
	if (!add_content(tree, path, buf_str(&control), used,
		    "scanners learn there that files of this package are in the image", err))
		return false;
	if (!package->md5sums)
		return true;
	if (!file_read(package->md5sums, SUMS_LIMIT, &listed, err))
		return false;
	write_sums(tree, used, buf_str(&listed), &sums);
	return sums.size == 0 || add_content(tree, sums_path, buf_str(&sums), used,
					 "scanners compare the package's files with it", err);
}

/* Versions of packages mean something in one release only. */
static bool add_release(struct tree *tree, struct package_database *database, struct error *err)
{
	static const char *const paths[] = {"/etc/os-release", "/etc/debian_version"};

	for (size_t i = 0; i < countof(paths); i++) {
		scoped(text_free) char *path = NULL;

		if (!file_exists(paths[i]) || !package_database_find(database, paths[i]))
			continue;
		if (!tree_resolve(tree, paths[i], &path, err))
			return false;
		if (!tree_find(tree, path) &&
			!tree_add_host_file(tree, paths[i], LAYER_BASE,
				"it names the release that the packages are of", err))
			return false;
	}
	return true;
}

static bool has_package(const struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->entries[i].package)
			return true;
	return false;
}

bool package_files_add(struct tree *tree, struct package_database *database, bool with_release,
	struct error *err)
{
	scoped(used_list_free) struct used_list list = {0};

	find_packages(tree, database);
	if (!has_package(tree))
		return true;
	if (with_release && !add_release(tree, database, err))
		return false;
	find_packages(tree, database);
	for (size_t i = 0; i < tree->count; i++)
		if (tree->entries[i].package)
			note(&list, tree->entries[i].package, tree->entries[i].layer);
	for (size_t i = 0; i < list.count; i++)
		if (!add_status(tree, &list.items[i], err) ||
			!add_copyright(tree, &list.items[i], err))
			return error_while(err, "adding what the package %s brings along",
				list.items[i].package->name);
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct package *x = *(const struct package *const *)a;
	const struct package *y = *(const struct package *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->architecture, y->architecture);
}

const struct package **package_files_list(const struct tree *tree, size_t *out_count)
{
	scoped(used_list_free) struct used_list list = {0};

	for (size_t i = 0; i < tree->count; i++)
		if (tree->entries[i].package)
			note(&list, tree->entries[i].package, tree->entries[i].layer);
	const struct package **packages = memory_new_array(list.count, sizeof(*packages));
	for (size_t i = 0; i < list.count; i++)
		packages[i] = list.items[i].package;
	if (list.count > 0)
		qsort(packages, list.count, sizeof(*packages), by_name);
	*out_count = list.count;
	return packages;
}
