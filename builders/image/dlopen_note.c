#include "builders/image/dlopen_note.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>

enum {
	SIZE_LIMIT = 64 << 10,
	FEATURE_LIMIT = 256,
	NAME_LIMIT = 32,
};

void dlopen_note_free(struct dlopen_note *note)
{
	for (size_t i = 0; i < note->count; i++) {
		free(note->features[i].name);
		strings_free(&note->features[i].sonames);
	}
	free(note->features);
	*note = (struct dlopen_note){0};
}

static bool parse_priority(const char *text, enum dlopen_priority *out)
{
	static const char *const names[] = {"required", "recommended", "suggested"};

	for (size_t i = 0; i < countof(names); i++)
		if (text_equal(names[i], text)) {
			*out = (enum dlopen_priority)i;
			return true;
		}
	return false;
}

static bool parse_feature(const struct json *value, const char *what, struct dlopen_feature *out,
	struct error *err)
{
	const struct json *sonames = json_get(value, "soname");
	const char *priority = json_get_text(value, "priority", "recommended");
	size_t count = json_count(sonames);

	if (!json_is_array(sonames) || count == 0 || count > NAME_LIMIT)
		return error_raise(err, ERROR_INVALID,
			"a feature in the dlopen note of \"%s\" names no libraries, or too many",
			what);
	if (!parse_priority(priority, &out->priority))
		return error_raise(err, ERROR_INVALID,
			"the dlopen note of \"%s\" has the unknown priority \"%.64s\"", what,
			priority);
	for (size_t i = 0; i < count; i++) {
		const char *name = json_text(json_at(sonames, i), "");
		if (!*name || strchr(name, '\n') || strlen(name) > 255)
			return error_raise(err, ERROR_INVALID,
				"a library's name in the dlopen note of \"%s\" makes no sense",
				what);
		strings_add(&out->sonames, name);
	}
	out->name = memory_copy_text(
		json_get_text(value, "description", json_get_text(value, "feature", "")));
	return true;
}

bool dlopen_note_parse(struct str text, const char *what, struct dlopen_note *out_note,
	struct error *err)
{
	static const struct json_limits limits = {.size_bytes = SIZE_LIMIT, .depth = 8};
	scoped(json_free) struct json *value = NULL;

	if (!json_parse(text, what, &limits, &value, err))
		return error_while(err, "reading the dlopen note of \"%s\"", what);
	if (!json_is_array(value))
		return error_raise(err, ERROR_INVALID, "the dlopen note of \"%s\" is no list",
			what);
	for (size_t i = 0; i < json_count(value); i++) {
		if (out_note->count == FEATURE_LIMIT)
			return error_raise(err, ERROR_LIMIT,
				"the dlopen notes of \"%s\" have more than %d features", what,
				FEATURE_LIMIT);
		out_note->features = memory_resize(out_note->features,
			(out_note->count + 1) * sizeof(out_note->features[0]));
		struct dlopen_feature *feature = &out_note->features[out_note->count++];
		*feature = (struct dlopen_feature){0};
		if (!parse_feature(json_at(value, i), what, feature, err))
			return false;
	}
	return true;
}
