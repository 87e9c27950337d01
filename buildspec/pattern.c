#include "buildspec/pattern.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool name_matches(struct str name, struct str pattern)
{
	size_t n = 0, p = 0, star = SIZE_MAX, resume = 0;

	while (n < name.size) {
		if (p < pattern.size && pattern.data[p] == '*') {
			star = p++;
			resume = n;
		} else if (p < pattern.size &&
			   (pattern.data[p] == '?' || pattern.data[p] == name.data[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.size && pattern.data[p] == '*')
		p++;
	return p == pattern.size;
}

/*
 * Name by name, as a shell matches character by character: a later "**" takes over from an earlier
 * one, because whatever the earlier one could still swallow the later one can too. So the time is
 * bounded by the product of the lengths, whatever pattern a buildspec holds.
 */
bool pattern_matches(const char *pattern, const char *path)
{
	struct str p = str_of(pattern), n = str_of(path), after_stars = {0}, resume = {0};
	bool stars = false;

	while (n.data) {
		struct str pattern_rest = p, name_rest = n;
		struct str pattern_name = str_cut(&pattern_rest, '/');
		struct str name = str_cut(&name_rest, '/');

		if (p.data && str_equal_text(pattern_name, "**")) {
			stars = true;
			after_stars = p = pattern_rest;
			resume = n;
			if (!p.data)
				return false; /* a final "**" names folders */
		} else if (p.data && name_matches(name, pattern_name)) {
			p = pattern_rest;
			n = name_rest;
		} else if (stars) {
			str_cut(&resume, '/');
			n = resume;
			p = after_stars;
		} else {
			return false;
		}
	}
	return !p.data;
}

bool pattern_has_wildcard(const char *pattern)
{
	return strpbrk(pattern, "*?") != NULL;
}

struct search {
	const char *bound, *root, *from, *pattern;
	struct strings *found, *refused; /* refused may be NULL */
};

/* A link to a regular file that lies below bound. */
static bool leads_to_file(const char *bound, const char *path)
{
	char real_bound[PATH_MAX], real[PATH_MAX];
	struct stat target;

	return realpath(bound, real_bound) && realpath(path, real) &&
	       path_is_below(real, real_bound) && stat(real, &target) == 0 &&
	       S_ISREG(target.st_mode);
}

/* Does a link lead to a folder? Its files are not looked for, and nobody need be told. */
static bool leads_to_folder(const char *path)
{
	struct stat target;

	return stat(path, &target) == 0 && S_ISDIR(target.st_mode);
}

static void take_match(const struct search *search, const char *relative, const struct stat *status)
{
	scoped(text_free) char *path = path_join(search->root, relative);

	if (S_ISREG(status->st_mode) ||
		(S_ISLNK(status->st_mode) && leads_to_file(search->bound, path)))
		strings_add(search->found, relative);
	else if (S_ISLNK(status->st_mode) && search->refused && !leads_to_folder(path))
		strings_add(search->refused, relative);
}

static bool visit(void *context, const char *relative, const struct stat *status, struct error *err)
{
	const struct search *search = context;
	scoped(text_free) char *path = path_join(search->from, relative);

	(void)err;
	if (!S_ISDIR(status->st_mode) && pattern_matches(search->pattern, path))
		take_match(search, path, status);
	return true;
}

/* The folders before the first name with a wildcard: nothing beside them need be looked at. */
static char *fixed_part(const char *pattern)
{
	size_t size = strcspn(pattern, "*?");

	while (size && pattern[size - 1] != '/')
		size--;
	return memory_copy(pattern, size ? size - 1 : 0);
}

/* Does path (below root), with all links followed, still lie below bound? */
static bool stays_below(const char *bound, const char *root, const char *path)
{
	char real_bound[PATH_MAX], real[PATH_MAX];
	scoped(text_free) char *whole = path_join(root, path);

	return realpath(bound, real_bound) && realpath(whole, real) &&
	       path_is_below(real, real_bound);
}

static bool find_one(const struct search *search, const char *path)
{
	scoped(text_free) char *whole = path_join(search->root, path);
	scoped(text_free) char *parent = path_parent(path);
	struct stat status;

	if (lstat(whole, &status) == 0 && stays_below(search->bound, search->root, parent))
		take_match(search, path, &status);
	return true;
}

bool pattern_find_bounded(const char *bound, const char *root, const char *pattern,
	struct strings *out_paths, struct strings *out_refused, struct error *err)
{
	scoped(text_free) char *normal = path_normalise(pattern);
	struct search search = {bound, root, NULL, normal, out_paths, out_refused};

	if (!path_is_inside(pattern))
		return true;
	if (!pattern_has_wildcard(normal))
		return find_one(&search, normal);
	scoped(text_free) char *fixed = fixed_part(normal);
	scoped(text_free) char *start = path_join(root, fixed);

	search.from = fixed;
	if (!file_is_folder(start) || !stays_below(bound, root, fixed))
		return true;
	return folder_walk(start, visit, &search, err);
}

bool pattern_find_files(const char *root, const char *pattern, struct strings *out_paths,
	struct error *err)
{
	return pattern_find_bounded(root, root, pattern, out_paths, NULL, err);
}

bool pattern_find_folders(const char *root, const char *pattern, struct strings *out_paths,
	struct error *err)
{
	scoped(text_free) char *normal = path_normalise(pattern);
	scoped(strings_free) struct strings names = {0};

	if (!path_is_inside(pattern))
		return true;
	if (!pattern_has_wildcard(normal)) {
		scoped(text_free) char *path = path_join(root, normal);

		if (file_is_folder(path) && stays_below(root, root, normal))
			strings_add(out_paths, normal);
		return true;
	}
	if (!folder_list(root, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(root, names.items[i]);
		struct stat status;

		if (pattern_matches(normal, names.items[i]) && lstat(path, &status) == 0 &&
			S_ISDIR(status.st_mode))
			strings_add(out_paths, names.items[i]);
	}
	return true;
}
