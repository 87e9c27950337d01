#include "buildspec/buildspec.h"

#include "base/file.h"
#include "buildspec/reader.h"

static const char *const root_keys[] = {"version", "run-as", "env", "environment_variables",
	"proxy", "batch", "phases", "reports", "artifacts", "cache", NULL};

static void read_version(struct reader *r, const struct yaml *root)
{
	struct yaml *node = yaml_get(root, "version");

	r->out->minor = 2;
	if (!node)
		read_error(r, 1, "version", "The version is missing: version: 0.2");
	else if (node->kind == YAML_SCALAR && str_equal_text(node->text, "0.1"))
		r->out->minor = 1;
	else if (node->kind != YAML_SCALAR || !str_equal_text(node->text, "0.2"))
		read_error(r, node->line, "version", "The version must be 0.1 or 0.2");
}

static void read_root(struct reader *r, const struct yaml *root)
{
	static const char *const proxy_keys[] = {"upload-artifacts", "logs", NULL};

	if (root->kind != YAML_MAPPING) {
		read_error(r, 1, "", "%s",
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
	read_switch(r, proxy, "upload-artifacts", "proxy");
	read_switch(r, proxy, "logs", "proxy");
	read_batch(r, root);
	read_env(r, root);
	read_phases(r, root);
	read_artifacts(r, root);
	read_reports(r, root);
	read_cache(r, root);
}

/* base/yaml.h puts "buildspec:LINE:COLUMN: " in front. */
static int line_of(const char *message, const char **out_rest)
{
	struct str rest = str_of(message);
	int64_t line = 1;

	*out_rest = message;
	if (!str_equal_text(str_cut(&rest, ':'), "buildspec") ||
		!str_to_int(str_cut(&rest, ':'), &line))
		return 1;
	str_cut(&rest, ' ');
	if (rest.data)
		*out_rest = rest.data;
	return (int)line;
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
		return;
	}
	int line = line_of(err.message, &message);

	read_error(&r, line, "", "%s", message);
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
		read_error(&r, 0, "", "YAML file does not exist");
	else
		read_error(&r, 0, "", "%s", err.message);
}
