#include "builders/image/closure_inside.h"

#include "base/memory.h"

#include <stdlib.h>

/* The newest version of the same family: "GLIBC_2.36" for "GLIBC_2.38". Empty when there is none. */
static struct str newest_like(const struct elf *elf, struct str version)
{
	size_t stem = 0;
	struct str best = {0};
	scoped(text_free) char *best_text = NULL;

	while (stem < version.size && !(version.data[stem] >= '0' && version.data[stem] <= '9'))
		stem++;
	for (size_t i = 0; i < elf->version_count; i++) {
		struct str other = elf->versions[i];
		scoped(text_free) char *text = str_copy(other);
		if (other.size <= stem || memcmp(other.data, version.data, stem) != 0 ||
			!(other.data[stem] >= '0' && other.data[stem] <= '9') ||
			(best_text && strverscmp(text, best_text) <= 0))
			continue;
		best = other;
		text_free(&best_text);
		best_text = str_copy(other);
	}
	return best;
}

static bool refuse(const struct library *user, const struct library *provider,
	const struct elf_version_need *need, struct error *err)
{
	struct str newest = newest_like(&provider->file->elf, need->version);

	error_raise(err, ERROR_INVALID,
		"%s needs the version %.*s of %s, and \"%s\" does not define it%s%.*s", user->name,
		str_args(need->version), provider->name, provider->path,
		newest.size ? ": its newest is " : "", str_args(newest));
	for (const struct library *l = user; l->asker; l = l->asker)
		error_while(err, "adding %s, needed by %s", l->name, l->asker->name);
	if (str_starts_with(need->version, "GLIBC_"))
		return error_next(err,
			"%s was linked on a newer system than this one: compile it here, or make "
			"the image there",
			user->name);
	return error_next(err, "install the %s that %s was linked with", provider->name,
		user->name);
}

/* As the loader does (_dl_check_map_versions): a library without any versions satisfies every need,
 * with a warning. */
static bool check_library(struct closure *closure, const struct library *user, struct error *err)
{
	const struct elf *elf = &user->file->elf;
	const struct library *warned = NULL;

	for (size_t i = 0; i < elf->version_need_count; i++) {
		const struct elf_version_need *need = &elf->version_needs[i];
		const struct library *provider = closure_find(closure, need->file);
		if (!provider || need->weak ||
			elf_defines_version(&provider->file->elf, need->version))
			continue;
		if (provider->file->elf.version_count > 0)
			return refuse(user, provider, need, err);
		if (warned != provider)
			strings_printf(closure->warnings,
				"%s needs versions of %s, and \"%s\" defines none: is it another "
				"build of that library?",
				user->name, provider->name, provider->path);
		warned = provider;
	}
	return true;
}

/* The loader and libc are two halves of one program: those of two builds do not fit together. */
static void check_halves(struct closure *closure)
{
	const struct library *libc = closure_find(closure, str_literal("libc.so.6"));
	const struct library *loader = NULL;

	for (size_t i = closure->scope; i < closure->count; i++)
		if (closure->libraries[i]->role == LIBRARY_LOADER)
			loader = closure->libraries[i];
	if (!libc || !loader)
		return;
	scoped(text_free) char *one = realpath(libc->path, NULL);
	scoped(text_free) char *other = realpath(loader->path, NULL);
	if (!one || !other)
		return;
	*strrchr(one, '/') = 0;
	*strrchr(other, '/') = 0;
	if (!text_equal(one, other))
		strings_printf(closure->warnings,
			"libc.so.6 comes from \"%s\" and the loader from \"%s\": if they are not "
			"of one "
			"build, %s will not start",
			one, other, closure->libraries[closure->scope]->name);
}

bool closure_check_versions(struct closure *closure, struct error *err)
{
	if (closure->musl) /* its loader does not look at versions */
		return true;
	for (size_t i = closure->scope; i < closure->count; i++)
		if (!check_library(closure, closure->libraries[i], err))
			return false;
	check_halves(closure);
	return true;
}
