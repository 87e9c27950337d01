#include "buildspec/reader.h"
#include "buildspec/report.h"

#define DEFAULT_FORMAT "JUNITXML"

static const struct report_format *read_format(struct reader *r, const struct yaml *node,
	const char *path)
{
	const char *const *names = report_format_names();
	const char *name = read_text(r, node, "file-format", path);
	const struct report_format *format = report_format_find(name ? name : DEFAULT_FORMAT);
	size_t count = 0;

	if (format)
		return format;
	while (names[count])
		count++;
	read_error(r, place_of(yaml_get(node, "file-format")),
		read_path(r, path, str_of("file-format")), "There is no report format \"%s\"%s",
		name, read_advice(r, name, names, count));
	return NULL;
}

/* False when it is wrong, which is noted. */
static bool read_report(struct reader *r, const struct yaml_pair *pair, struct report_spec *out)
{
	static const char *const keys[] = {"files", "file-format", "base-directory",
		"discard-paths", NULL};
	const char *path = read_path(r, "reports", pair->key);
	const struct yaml *node = pair->value->kind == YAML_MAPPING ? pair->value : NULL;

	if (pair->duplicate)
		read_warning(r, place_of(pair), path, "%s stands here twice", pair->key.data);
	read_check_keys(r, node, path, keys);
	out->group = pair->key.data;
	out->files = read_texts(r, node, "files", path);
	if (!out->files.count)
		read_error(r, place_of(pair), read_path(r, path, str_of("files")),
			"The files of the report are missing");
	out->base_directory = read_text(r, node, "base-directory", path);
	out->discard_paths = read_switch(r, node, "discard-paths", path);
	out->format = read_format(r, node, path);
	return out->files.count && out->format && pair->key.size;
}

void read_reports(struct reader *r, const struct yaml *root)
{
	enum { GROUPS_MAX = 5 };
	struct yaml *reports = read_mapping(r, root, "reports", "");
	size_t count = reports ? reports->count : 0;

	r->out->reports = arena_new(r->arena, (count + 1) * sizeof(*r->out->reports));
	for (size_t i = 0; i < count; i++) {
		const struct yaml_pair *pair = &reports->pairs[i];

		if (read_report(r, pair, &r->out->reports[r->out->report_count]))
			r->out->report_count++;
		if (i == GROUPS_MAX)
			read_warning(r, place_of(pair), read_path(r, "reports", pair->key),
				"CodeBuild takes at most %d report groups", GROUPS_MAX);
	}
}
