#include "builders/evidence/policy.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/yaml.h"

#include <stdlib.h>

enum { POLICY_LIMIT = 1 << 20, KEYS_LIMIT = 100 };

void policy_free(struct policy *policy)
{
	for (size_t i = 0; i < policy->key_count; i++) {
		free(policy->keys[i].name);
		public_key_free(&policy->keys[i].key);
	}
	free(policy->keys);
	strings_free(&policy->builders);
	strings_free(&policy->repositories);
	*policy = (struct policy){0};
}

static void add_key(struct policy *policy, struct str name, struct public_key *key)
{
	policy->keys =
		memory_resize(policy->keys, (policy->key_count + 1) * sizeof(policy->keys[0]));
	policy->keys[policy->key_count++] = (struct policy_key){str_copy(name), key};
}

/* What the parsing of one document shares. */
struct reader {
	const char *what, *folder;
	const struct policy_files *files;
	struct policy *policy;
	bool require_given;
};

#define AT(reader, node) (reader)->what, (node)->line, (node)->column

static bool read_key(struct reader *r, const struct yaml_pair *pair, struct error *err)
{
	const struct yaml *value = pair->value;
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *path = NULL, *name = NULL;
	struct public_key *key = NULL;

	if (pair->duplicate)
		return error_raise(err, ERROR_INVALID,
			"%s:%d:%d: the key \"%.*s\" stands here twice", AT(r, pair),
			str_args(pair->key));
	if (value->kind != YAML_SCALAR || value->text.size == 0) {
		error_raise(err, ERROR_INVALID, "%s:%d:%d: the key \"%.*s\" is no path and no PEM",
			AT(r, value), str_args(pair->key));
		return error_next(err, "write NAME: FILE");
	}
	name = memory_format("%s:%d:%d: the key \"%.*s\"", AT(r, value), str_args(pair->key));
	if (!memmem(value->text.data, value->text.size, "-----BEGIN", 10)) {
		scoped(text_free) char *given = str_copy(value->text);
		path = *given == '/' ? memory_copy_text(given) : path_join(r->folder, given);
		if (!(r->files ? r->files->read(r->files->self, path, KEY_TEXT_LIMIT, &text, err)
			       : file_read(path, KEY_TEXT_LIMIT, &text, err)))
			return error_while(err, "reading %s", name);
	}
	if (!public_key_parse(path ? buf_str(&text) : value->text, name, &key, err))
		return false;
	add_key(r->policy, pair->key, key);
	return true;
}

static bool read_keys(struct reader *r, const struct yaml *node, struct error *err)
{
	if (node->kind != YAML_MAPPING || node->count == 0) {
		error_raise(err, ERROR_INVALID, "%s:%d:%d: \"keys\" must name at least one key",
			AT(r, node));
		return error_next(err, "write NAME: FILE below it, for example release: "
				       "keys/release.pem");
	}
	if (node->count > KEYS_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s:%d:%d: more than %d keys", AT(r, node),
			KEYS_LIMIT);
	for (size_t i = 0; i < node->count; i++)
		if (!read_key(r, &node->pairs[i], err))
			return false;
	return true;
}

static bool read_texts(struct reader *r, const struct yaml *node, const char *key,
	struct strings *out, struct error *err)
{
	if (node->kind != YAML_SEQUENCE || node->count == 0) {
		error_raise(err, ERROR_INVALID,
			"%s:%d:%d: \"%s\" must be a list with something "
			"in it",
			AT(r, node), key);
		return error_next(err, "write %s: [\"…\"]", key);
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml *item = node->items[i];
		if (item->kind != YAML_SCALAR || item->text.size == 0)
			return error_raise(err, ERROR_INVALID,
				"%s:%d:%d: \"%s\" holds what is no "
				"text",
				AT(r, item), key);
		strings_add_owned(out, str_copy(item->text));
	}
	return true;
}

static bool raise_unknown(struct reader *r, int line, int column, struct str word, const char *kind,
	const char *const *known, size_t count, struct error *err)
{
	scoped(text_free) char *text = str_copy(word);
	const char *near = text_nearest(text, known, count);
	scoped(buf_free) struct buf all = {0};

	error_raise(err, ERROR_INVALID, "%s:%d:%d: unknown %s \"%s\"", r->what, line, column, kind,
		text);
	if (near)
		return error_next(err, "did you mean \"%s\"?", near);
	for (size_t i = 0; i < count; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", known[i]);
	return error_next(err, "known are %s", buf_text(&all));
}

static bool read_require(struct reader *r, const struct yaml *node, struct error *err)
{
	static const char *const known[] = {"signature", "provenance", "sbom"};
	scoped(strings_free) struct strings list = {0};

	if (!read_texts(r, node, "require", &list, err))
		return false;
	r->require_given = true;
	for (size_t i = 0; i < list.count; i++) {
		bool *wanted[] = {&r->policy->signature, &r->policy->provenance, &r->policy->sbom};
		bool found = false;

		for (size_t j = 0; j < countof(known); j++)
			if (text_equal(list.items[i], known[j]))
				found = *wanted[j] = true;
		if (!found)
			return raise_unknown(r, node->items[i]->line, node->items[i]->column,
				node->items[i]->text, "evidence", known, countof(known), err);
	}
	return true;
}

static bool read_pair(struct reader *r, const struct yaml_pair *pair, struct error *err)
{
	static const char *const known[] = {"keys", "require", "builders", "repositories"};

	if (pair->duplicate)
		return error_raise(err, ERROR_INVALID, "%s:%d:%d: \"%.*s\" stands here twice",
			AT(r, pair), str_args(pair->key));
	if (str_equal_text(pair->key, "keys"))
		return read_keys(r, pair->value, err);
	if (str_equal_text(pair->key, "require"))
		return read_require(r, pair->value, err);
	if (str_equal_text(pair->key, "builders"))
		return read_texts(r, pair->value, "builders", &r->policy->builders, err);
	if (str_equal_text(pair->key, "repositories"))
		return read_texts(r, pair->value, "repositories", &r->policy->repositories, err);
	return raise_unknown(r, pair->line, pair->column, pair->key, "member", known,
		countof(known), err);
}

bool policy_parse(struct str text, const char *what, const char *folder,
	const struct policy_files *files, struct policy *out_policy, struct error *err)
{
	scoped(arena_free) struct arena arena = {0};
	scoped(policy_free) struct policy policy = {0};
	struct reader r = {.what = what, .folder = folder, .files = files, .policy = &policy};
	struct yaml *root;

	if (!yaml_parse(text, what, &arena, &root, err))
		return false;
	if (root->kind != YAML_MAPPING) {
		error_raise(err, ERROR_INVALID, "%s:%d:%d: this is no policy", AT(&r, root));
		return error_next(err, "it has the members keys, require, builders, repositories");
	}
	for (size_t i = 0; i < root->count; i++)
		if (!read_pair(&r, &root->pairs[i], err))
			return false;
	if (policy.key_count == 0) {
		error_raise(err, ERROR_INVALID, "%s:%d:%d: the policy names no \"keys\"",
			AT(&r, root));
		return error_next(err, "without a key nobody can be told from anybody: keys: "
				       "{release: keys/release.pem}");
	}
	policy.signature = policy.signature || !r.require_given;
	policy.provenance = policy.provenance || policy.builders.count || policy.repositories.count;
	*out_policy = policy;
	policy = (struct policy){0};
	return true;
}

bool policy_read_file(const char *path, struct policy *out_policy, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *folder = path_parent(path);

	if (!file_read(path, POLICY_LIMIT, &text, err))
		return error_while(err, "reading the policy");
	return policy_parse(buf_str(&text), path, folder, NULL, out_policy, err);
}

bool policy_of_key(const char *path, struct policy *out_policy, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *what = memory_format("the key \"%s\"", path);
	struct policy policy = {.signature = true};
	struct public_key *key = NULL;

	if (!file_read(path, KEY_TEXT_LIMIT, &text, err) ||
		!public_key_parse(buf_str(&text), what, &key, err))
		return error_while(err, "reading the key that must have signed");
	add_key(&policy, str_of(path), key);
	*out_policy = policy;
	return true;
}
