#include "builders/image/closure_inside.h"

#include "base/memory.h"
#include "builders/image/companions.h"
#include "builders/image/dlopen_note.h"

static void list_names(const struct strings *names, struct buf *out)
{
	for (size_t i = 0; i < names->count; i++)
		buf_printf(out, "%s%s", i ? " or " : "", names->items[i]);
}

/* One of the feature's libraries; which comes first is the file's choice. */
static bool add_one(struct closure *closure, struct library *library,
	const struct dlopen_feature *feature, bool *out_found, struct error *err)
{
	scoped(text_free) char *why = memory_format("%s opens it at run time%s%s (its dlopen note)",
		library->name, *feature->name ? " for " : "", feature->name);

	*out_found = false;
	for (size_t i = 0; !*out_found && i < feature->sonames.count; i++)
		if (!closure_find_by_name(closure, library, feature->sonames.items[i], why,
			    out_found, err))
			return false;
	return true;
}

static bool add_feature(struct closure *closure, struct library *library,
	const struct dlopen_feature *feature, struct error *err)
{
	scoped(buf_free) struct buf names = {0};
	bool found = false;

	if (feature->priority == DLOPEN_SUGGESTED &&
		!companions_requested(&closure->options, "suggested")) {
		for (size_t i = 0; !found && i < feature->sonames.count; i++)
			found = closure_find(closure, str_of(feature->sonames.items[i]));
		list_names(&feature->sonames, &names);
		if (!found)
			strings_printf(&closure->suggested, "%s can open %s%s%s", library->name,
				buf_text(&names), *feature->name ? " for " : "", feature->name);
		return true;
	}
	if (!add_one(closure, library, feature, &found, err))
		return false;
	if (found)
		return true;
	list_names(&feature->sonames, &names);
	if (feature->priority == DLOPEN_REQUIRED) {
		error_raise(err, ERROR_NOT_FOUND,
			"%s opens %s at run time (its dlopen note) and does not work without, but "
			"the library was not found",
			library->name, buf_text(&names));
		scoped(text_free) char *package =
			library_guess_package(str_of(feature->sonames.items[0]));
		if (package)
			return error_next(err, "on Debian it is probably in the package %s",
				package);
		return error_next(err, "install it");
	}
	strings_printf(closure->warnings,
		"%s would open %s at run time%s%s, which is not here and not in the image",
		library->name, buf_text(&names), *feature->name ? " for " : "", feature->name);
	return true;
}

bool closure_follow_notes(struct closure *closure, struct library *library, struct error *err)
{
	const struct elf *elf = &library->file->elf;

	for (size_t i = 0; i < elf->dlopen_note_count; i++) {
		scoped(dlopen_note_free) struct dlopen_note note = {0};
		struct error odd = {0};

		if (!dlopen_note_parse(elf->dlopen_notes[i], library->path, &note, &odd)) {
			strings_printf(closure->warnings, "%s", odd.message);
			error_free(&odd);
			continue;
		}
		for (size_t k = 0; k < note.count; k++)
			if (!add_feature(closure, library, &note.features[k], err))
				return false;
	}
	return true;
}
