#include "pipeline/cli/build_store.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"
#include "builders/executor/stored_log.h"

#include <stdlib.h>

enum { RESULT_LIMIT = 64 << 20 };

void build_store_free(struct build_store *store)
{
	store_free(&store->store);
}

bool build_store_restore(const struct build_store *store, const char *output,
	struct store_origin *out_origin, bool *out_found, struct error *err)
{
	scoped(text_free) char *broken = NULL;

	*out_found = false;
	if (!*store->key || !store_find(&store->store, store->key, out_origin))
		return true;
	store_origin_free(out_origin);
	if (!executor_clear(output, err) || !store_restore(&store->store, store->key, output,
						    out_origin, out_found, &broken, err))
		return false;
	if (broken)
		log_write(LOG_WARNING, "the build is made again", "because", broken, NULL);
	return true;
}

void build_store_keep(const struct build_store *store, const char *commit, const char *output)
{
	scoped(text_free) char *id = memory_copy_text(commit);
	scoped(error_free) struct error err = {0};
	const char *run = getenv("DOGSHORE_RUN");
	struct store_origin origin = {.commit = id, .made_ms = clock_now(&system_clock)};
	bool kept = false;

	if (!*store->key)
		return;
	if (!run || !str_to_int(str_of(run), &origin.run))
		origin.run = 0;
	if (!store_keep(&store->store, store->key, &origin, output, executor_outputs,
		    executor_output_count, &kept, &err)) {
		log_write(LOG_WARNING, "the build is not kept: the next one like it is made again",
			"because", err.message, NULL);
	} else if (!kept && store->store.limit_bytes > 0) {
		log_write(LOG_WARNING, "the build is not kept: it is larger than the store may be",
			"variable", STORE_LIMIT_VARIABLE, NULL);
	}
}

bool build_store_write_result(const struct store_origin *origin, const char *commit,
	const char *output, struct buf *out, struct error *err)
{
	scoped(text_free) char *path = path_join(output, EXECUTOR_RESULT);
	scoped(json_free) struct json *result = NULL;
	char made[TIME_TEXT_SIZE];

	if (!json_read_file(path, RESULT_LIMIT, &result, err))
		return false;
	time_to_rfc3339(origin->made_ms, made);
	json_set_text(result, "commit", commit);
	json_set(result, "restored",
		json_object_of("commit", json_text_new(origin->commit), "run",
			origin->run ? json_int_new(origin->run) : NULL, "from", json_text_new(made),
			NULL));
	json_write(result, out);
	return true;
}

bool build_store_show(const struct store_origin *origin, const char *output, bool plain,
	struct error *err)
{
	scoped(text_free) char *path = path_join(output, EXECUTOR_LOG);
	scoped(text_free) char *from = store_origin_text(origin);

	fprintf(stderr, "restored from %s: the same was built before%s\n", from,
		plain ? ", and this is its log" : "");
	if (!plain || !file_exists(path))
		return true;
	return stored_log_each(path, build_input_show_log, NULL, err) &&
	       executor_write_plain_log(output, err);
}
