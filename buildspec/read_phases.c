#include "buildspec/reader.h"

#include <regex.h>
#include <stdlib.h>
#include <strings.h>

static const char *const phase_keys[] = {
	[PHASE_INSTALL] = "install",
	[PHASE_PRE_BUILD] = "pre_build",
	[PHASE_BUILD] = "build",
	[PHASE_POST_BUILD] = "post_build",
};

const char *phase_key(enum phase phase)
{
	return phase_keys[phase];
}

enum { RETRY_DEFAULT = 3, RETRY_MAX = 100 };

static bool set_regex(struct phase_spec *phase, const char *regex)
{
	regex_t compiled;

	if (regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	regfree(&compiled);
	phase->retry_regex = regex;
	return true;
}

/* What follows "RETRY": nothing, "-count", "-regex" or "-count-regex". Digits, or digits and "-",
 * are the count. */
static bool read_retry(struct phase_spec *phase, const char *text)
{
	size_t digits;
	int64_t count;

	phase->on_failure = ON_FAILURE_RETRY;
	phase->retry_count = RETRY_DEFAULT;
	if (!text[0])
		return true;
	if (*text++ != '-')
		return false;
	digits = strspn(text, "0123456789");
	if (!digits || (text[digits] && text[digits] != '-'))
		return set_regex(phase, text);
	if (!str_to_int((struct str){text, digits}, &count) || count > RETRY_MAX)
		return false;
	phase->retry_count = (int)count;
	return !text[digits] || set_regex(phase, text + digits + 1);
}

static void read_on_failure(struct reader *r, const struct yaml *node, const char *path,
	struct phase_spec *phase)
{
	const char *text = read_text(r, node, "on-failure", path);

	if (!text)
		return;
	if (strcasecmp(text, "ABORT") == 0)
		phase->on_failure = ON_FAILURE_ABORT;
	else if (strcasecmp(text, "CONTINUE") == 0)
		phase->on_failure = ON_FAILURE_CONTINUE;
	else if (strncasecmp(text, "RETRY", 5) != 0 || !read_retry(phase, text + 5))
		read_error(r, place_of(yaml_get(node, "on-failure")),
			read_path(r, path, str_of("on-failure")),
			"on-failure must be ABORT, CONTINUE, RETRY, RETRY-count (to %d), "
			"RETRY-regex or RETRY-count-regex, not \"%s\"",
			RETRY_MAX, text);
}

/* CodeBuild calls both lists "Commands" in its message. */
static struct texts read_commands(struct reader *r, const struct yaml *phase, const char *key,
	const char *path)
{
	struct yaml *node = yaml_get(phase, key);
	const char *whole = read_path(r, path, str_of(key));

	if (!node || node->kind != YAML_SEQUENCE)
		return read_texts(r, phase, key, path);
	struct texts list = {arena_new(r->arena, (node->count + 1) * sizeof(char *)), 0};

	for (size_t i = 0; i < node->count; i++) {
		const struct yaml *item = node->items[i];

		if (item->kind != YAML_SCALAR)
			read_error(r, place_of(item), arena_format(r->arena, "%s[%zu]", whole, i),
				"Expected Commands[%zu] to be of string type", i);
		else if (!item->is_null)
			list.items[list.count++] = item->text.data;
	}
	return list;
}

static void read_phase(struct reader *r, const struct yaml *phases, enum phase which)
{
	static const char *const keys[] = {"run-as", "on-failure", "commands", "finally",
		"runtime-versions", NULL};
	const char *path = read_path(r, "phases", str_of(phase_key(which)));
	struct phase_spec *phase = &r->out->phases[which];
	struct yaml *node = read_mapping(r, phases, phase_key(which), "phases");

	if (!node)
		return;
	read_check_keys(r, node, path, keys);
	phase->run_as = read_text(r, node, "run-as", path);
	phase->commands = read_commands(r, node, "commands", path);
	phase->finally = read_commands(r, node, "finally", path);
	phase->wants_runtimes = yaml_get(node, "runtime-versions") != NULL;
	phase->runtimes = read_variables(r, node, "runtime-versions", path);
	read_on_failure(r, node, path, phase);
}

static bool is_phase(struct str key)
{
	for (int i = 0; i < PHASE_COUNT; i++)
		if (str_equal_text(key, phase_keys[i]))
			return true;
	return false;
}

void read_phases(struct reader *r, const struct yaml *root)
{
	struct yaml *phases = read_mapping(r, root, "phases", "");

	if (!phases) {
		/* A batch build's tasks may each name a file of their own; then this one runs nothing. */
		if (!yaml_get(root, "batch") && !yaml_get(root, "phases"))
			read_error(r, PLACE_OF_START, "phases", "The phases are missing");
		else if (yaml_get(root, "phases") &&
			 yaml_get(root, "phases")->kind == YAML_SCALAR &&
			 yaml_get(root, "phases")->is_null)
			read_error(r, place_of(yaml_get_pair(root, "phases")), "phases",
				"The phases are missing");
		return;
	}
	for (size_t i = 0; i < phases->count; i++) {
		const struct yaml_pair *pair = &phases->pairs[i];
		const char *path = read_path(r, "phases", pair->key);

		if (!is_phase(pair->key))
			read_error(r, place_of(pair), path,
				"Invalid buildspec phase name: %s. Expecting: "
				"build,install,post_build,pre_build%s",
				pair->key.data,
				read_advice(r, pair->key.data, phase_keys, PHASE_COUNT));
		else if (pair->duplicate)
			read_warning(r, place_of(pair), path,
				"%s stands here twice; the last one counts", pair->key.data);
	}
	for (int i = 0; i < PHASE_COUNT; i++)
		read_phase(r, phases, (enum phase)i);
}
