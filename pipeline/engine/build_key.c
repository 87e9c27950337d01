#include "pipeline/engine/build_key.h"

#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

bool build_key_store(const char *state, struct store *out_store, struct error *err)
{
	scoped(text_free) char *folder = path_join(state, "store");
	int64_t limit_bytes;

	if (!store_limit_parse(getenv(STORE_LIMIT_VARIABLE), &limit_bytes, err))
		return false;
	*out_store = store_of(folder, limit_bytes);
	return true;
}

/* Is a later one of the same name? The last one counts. */
static bool is_overridden(const struct strings *env, size_t at)
{
	size_t size = strcspn(env->items[at], "=") + 1;

	for (size_t i = at + 1; i < env->count; i++)
		if (strncmp(env->items[i], env->items[at], size) == 0)
			return true;
	return false;
}

static void add_variables(const struct strings *env, struct buf *text)
{
	scoped(strings_free) struct strings sorted = {0};

	for (size_t i = 0; i < env->count; i++)
		if (!is_overridden(env, i))
			strings_add(&sorted, env->items[i]);
	strings_sort(&sorted);
	for (size_t i = 0; i < sorted.count; i++)
		buf_printf(text, "%zu %s\n", strlen(sorted.items[i]), sorted.items[i]);
}

bool build_key_of(const struct build_key_options *options, struct snapshot *snapshot,
	char out_key[BUILD_KEY_SIZE], struct error *err)
{
	const struct project_service *service = options->service;
	scoped(key_free) struct key key = {0};
	scoped(buf_free) struct buf text = {0};
	scoped(strings_free) struct strings own = {0};

	if (!key_of_build(service, snapshot, options->toolchain, &key, err))
		return false;
	if (!options->env)
		project_pairs_add(&service->env, NULL, &own);
	buf_printf(&text, "build 1\n%s\n%s\n%s\nsandbox %d network %d\n", key.text, options->app,
		service->name, !options->no_sandbox, options->network);
	add_variables(options->env ? options->env : &own, &text);
	struct digest digest = digest_of_str(buf_str(&text));

	digest_to_hex(&digest, out_key);
	return true;
}
