#include "buildspec/buildspec.h"

#include "base/file.h"
#include "buildspec/reader.h"

#include <stdlib.h>

static const char *const root_keys[] = {"version", "run-as", "env", "environment_variables",
	"proxy", "batch", "phases", "reports", "artifacts", "cache", NULL};

static void read_version(struct reader *r, const struct yaml *root)
{
	struct yaml *node = yaml_get(root, "version");

	r->out->minor = 2;
	if (!node)
		read_error(r, PLACE_OF_START, "version", "The version is missing: version: 0.2");
	else if (node->kind == YAML_SCALAR && str_equal_text(node->text, "0.1"))
		r->out->minor = 1;
	else if (node->kind != YAML_SCALAR || !str_equal_text(node->text, "0.2"))
		read_error(r, place_of(node), "version", "The version must be 0.1 or 0.2");
}

static void read_root(struct reader *r, const struct yaml *root)
{
	static const char *const proxy_keys[] = {"upload-artifacts", "logs", NULL};

	if (root->kind != YAML_MAPPING) {
		read_error(r, PLACE_OF_START, "", "%s",
			root->kind == YAML_SCALAR && root->is_null
				? "The buildspec is empty"
				: "Expected the buildspec to be a mapping of keys and values");
		return;
	}
	read_check_keys(r, root, "", root_keys);
	read_version(r, root);
	r->out->run_as = read_text(r, root, "run-as", "");
	struct yaml *proxy = read_mapping(r, root, "proxy", "");

	read_check_keys(r, proxy, "proxy", proxy_keys);
	r->out->proxy_artifacts = read_switch(r, proxy, "upload-artifacts", "proxy");
	r->out->proxy_logs = read_switch(r, proxy, "logs", "proxy");
	read_batch(r, root);
	read_env(r, root);
	read_phases(r, root);
	read_artifacts(r, root);
	read_reports(r, root);
	read_cache(r, root);
}

/* base/yaml.h puts "buildspec:LINE:COLUMN: " in front, or "buildspec: " where it has no place. */
static struct place place_of_message(const char *message, const char **out_rest)
{
	struct str rest = str_of(message), name = str_cut(&rest, ':'), after_name = rest;
	int64_t line, column;

	*out_rest = message;
	if (!str_equal_text(name, "buildspec") || !rest.data)
		return PLACE_OF_START;
	*out_rest = str_trim(after_name).data;
	if (!str_to_int(str_cut(&rest, ':'), &line) || !str_to_int(str_cut(&rest, ':'), &column) ||
		!rest.data)
		return PLACE_OF_START;
	*out_rest = str_trim(rest).data;
	return (struct place){(int)line, (int)column};
}

/* By place; those of one place keep their order. */
static int by_place(const void *a, const void *b)
{
	const struct buildspec_finding *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

void buildspec_parse(struct str text, struct arena *arena, struct buildspec *out,
	struct buildspec_findings *findings)
{
	scoped(error_free) struct error err = {0};
	struct reader r = {arena, findings, out};
	struct yaml *root = NULL;
	const char *message;

	*out = (struct buildspec){.shell = "/bin/sh", .minor = 2};
	if (yaml_parse(text, "buildspec", arena, &root, &err)) {
		read_root(&r, root);
		if (findings->count)
			qsort(findings->items, findings->count, sizeof(*findings->items), by_place);
		return;
	}
	struct place place = place_of_message(err.message, &message);

	read_error(&r, place, "", "%s%s%s", message, err.context_count ? "; while " : "",
		err.context_count ? err.contexts[0] : "");
}

enum { FILE_LIMIT = 1024 * 1024 };

void buildspec_load(const char *path, struct arena *arena, struct buildspec *out,
	struct buildspec_findings *findings)
{
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};
	struct reader r = {arena, findings, out};

	*out = (struct buildspec){.shell = "/bin/sh", .minor = 2};
	if (file_read(path, FILE_LIMIT, &text, &err))
		buildspec_parse(buf_str(&text), arena, out, findings);
	else if (err.kind == ERROR_NOT_FOUND)
		read_error(&r, (struct place){0}, "", "YAML file does not exist");
	else
		read_error(&r, (struct place){0}, "", "%s", err.message);
}
