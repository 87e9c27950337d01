#include "builders/image/package_root.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/kept_folder.h"
#include "builders/image/package_fetch.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOT_LIMIT = 16 };

void package_root_free(struct package_root *root)
{
	package_database_free(&root->database);
	text_free(&root->path);
}

/* "libstdc++6", with a version "libstdc++6=12.2.0-14"; Debian policy 5.6.1 and 5.6.12. Nothing that
 * apt would take for an option or a pattern. */
static bool is_package_name(struct str text)
{
	struct str version = text, name = str_cut(&version, '=');
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	if (name.size < 2 || name.size > 200 || !strchr(letters, name.data[0]))
		return false;
	for (size_t i = 0; i < name.size; i++)
		if (!strchr(letters, name.data[i]) && !strchr("+-.", name.data[i]))
			return false;
	/* To apt, "name-" removes and "name+" installs. */
	if (str_ends_with(name, "-") || (str_ends_with(name, "+") && !str_ends_with(name, "++")))
		return false;
	if (!version.data)
		return true;
	for (size_t i = 0; i < version.size; i++)
		if (!strchr(letters, version.data[i]) && !strchr("+-.~:", version.data[i]) &&
			(version.data[i] < 'A' || version.data[i] > 'Z'))
			return false;
	return version.size > 0;
}

static bool check_names(const struct strings *names, struct error *err)
{
	for (size_t i = 0; i < names->count; i++)
		if (!is_package_name(str_of(names->items[i]))) {
			error_raise(err, ERROR_USAGE, "\"%s\" can be no package's name",
				names->items[i]);
			return error_next(err, "write NAME or NAME=VERSION, for example tzdata");
		}
	return true;
}

static void hash_time(struct hasher *hasher, const char *path)
{
	struct stat status = {0};
	int64_t times[3] = {0};

	if (stat(path, &status) == 0) {
		times[0] = status.st_mtim.tv_sec;
		times[1] = status.st_mtim.tv_nsec;
		times[2] = status.st_size;
	}
	hasher_add(hasher, times, sizeof(times));
}

/* What apt's answer depends on: the names, its lists and sources, and what is installed. */
static struct digest key_of(const struct strings *names)
{
	static const char *const inputs[] = {"/var/lib/apt/lists", "/etc/apt/sources.list",
		"/etc/apt/sources.list.d", "/etc/apt/preferences", "/etc/apt/preferences.d",
		"/etc/apt/apt.conf.d", "/var/lib/dpkg/status"};
	struct hasher *hasher = hasher_new();
	struct strings sorted = {0};

	hasher_add(hasher, "packages 1", 10);
	for (size_t i = 0; i < names->count; i++)
		strings_add(&sorted, names->items[i]);
	strings_sort(&sorted);
	for (size_t i = 0; i < sorted.count; i++)
		hasher_add(hasher, sorted.items[i], strlen(sorted.items[i]) + 1);
	for (size_t i = 0; i < countof(inputs); i++)
		hash_time(hasher, inputs[i]);
	struct digest key = hasher_finish(hasher);
	hasher_free(&hasher);
	strings_free(&sorted);
	return key;
}

/* Fetches and unpacks in a work folder beside the roots, which is removed in any case. */
static bool make(const struct strings *names, const char *folder, const struct digest *key,
	char **out_path, struct error *err)
{
	scoped(text_free) char *work = NULL, *id = NULL;
	struct error ignored = {0};

	if (!folder_make(folder, 0700, err) || !folder_make_temporary(folder, "new-", &work, err))
		return false;
	scoped(text_free) char *made = path_join(work, "root");
	bool ok = package_fetch(names, work, &id, err) &&
		  kept_folder_keep(made, folder, key, id, ROOT_LIMIT, out_path, err);
	if (!folder_remove(work, &ignored))
		error_ignore(&ignored, "a work folder stays behind");
	return ok;
}

bool package_root_prepare(const struct strings *names, const char *folder,
	struct package_root *out_root, struct error *err)
{
	scoped(package_root_free) struct package_root root = {0};

	if (!check_names(names, err))
		return false;
	struct digest key = key_of(names);
	if (!kept_folder_find(folder, &key, "root-", &root.path) &&
		!make(names, folder, &key, &root.path, err))
		return error_while(err, "getting the packages of --package");
	char *real = realpath(root.path, NULL);
	if (!real)
		return error_raise_errno(err, "find \"%s\"", root.path);
	free(root.path);
	root.path = real;
	scoped(text_free) char *dpkg = path_join(root.path, "var/lib/dpkg");
	scoped(text_free) char *index = memory_format("%s/index", dpkg);
	struct package_places places = {.dpkg = dpkg, .root = root.path, .index = index};
	if (!package_database_open(&places, &root.database, err))
		return false;
	*out_root = root;
	root = (struct package_root){0};
	return true;
}

/* Manuals and the like, which no service reads; and our own notes. */
static bool is_left_out(const char *relative)
{
	static const char *const folders[] = {"usr/share/doc", "usr/share/man", "usr/share/info",
		"usr/share/lintian", "usr/share/bug", "usr/share/doc-base", "var/lib/dpkg"};

	for (size_t i = 0; i < countof(folders); i++)
		if (path_is_below(relative, folders[i]))
			return true;
	return false;
}

struct adding {
	const struct package_root *root;
	struct tree *tree;
};

/* Folders that hold nothing are listed by their package; the others follow from what is in them. */
static bool add_entry(const struct adding *adding, const char *relative, const char *source,
	const struct stat *status, const struct package *package, struct error *err)
{
	scoped(text_free) char *why =
		memory_format("it is of the package %s, named by --package or needed by one",
			package ? package->name : "?");

	if (S_ISDIR(status->st_mode))
		return !package ||
		       tree_add_folder(adding->tree, relative, 0755, LAYER_LIBRARIES, why, err);
	if (!S_ISLNK(status->st_mode))
		return tree_add_file(adding->tree, relative, source, LAYER_LIBRARIES, why, err);

	char target[PATH_MAX];
	ssize_t size = readlink(source, target, sizeof(target) - 1);
	if (size < 0)
		return error_raise_errno(err, "read \"%s\"", source);
	target[size] = 0;
	bool second_name = strchr(relative, '/') == NULL; /* bin, lib, … */
	return tree_add_link(adding->tree, relative, target,
		second_name ? LAYER_BASE : LAYER_LIBRARIES,
		second_name ? "the folder has this second name in Debian" : why, err);
}

static bool add_walked(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct adding *adding = context;

	if (is_left_out(relative))
		return true;
	scoped(text_free) char *source = path_join(adding->root->path, relative), *path = NULL;
	const struct package *package = package_database_find(adding->root->database, source);
	if (!add_entry(adding, relative, source, status, package, err)) {
		error_while(err, "adding /%s of the package %s", relative,
			package ? package->name : "?");
		return false;
	}
	if (!tree_resolve(adding->tree, relative, &path, err))
		return false;
	if (package)
		tree_set_package(adding->tree, path, package);
	return true;
}

bool package_root_add(const struct package_root *root, struct tree *tree, struct error *err)
{
	struct adding adding = {root, tree};

	return !root->path || folder_walk(root->path, add_walked, &adding, err);
}
