#include "pipeline/engine/known.h"

#include "base/file.h"
#include "base/memory.h"
#include "pipeline/engine/batch_file.h"
#include "pipeline/engine/build_key.h"

#include <stdlib.h>
#include <string.h>

/* A build counts while its image can still be had: an OCI layout somebody removed is no image. */
static bool is_there(const struct ledger_build *build)
{
	const char *tag = strrchr(build->layout, ':');
	scoped(text_free) char *index = memory_format("%.*s/index.json",
		(int)(tag ? tag - build->layout : 0), build->layout);

	return !*build->image || file_exists(index);
}

static bool built(void *self, const char *service, const char *key, char **out_image,
	struct error *err)
{
	struct known *known = self;
	scoped(ledger_build_free) struct ledger_build build = {0};
	bool found = false;

	if (!known->ledger)
		return true;
	if (!ledger_build_get(known->ledger, known->app, service, key, &build, &found, err))
		return false;
	if (found && is_there(&build)) {
		*out_image = build.image;
		build.image = NULL;
	}
	return true;
}

/* env NULL: the service's own. *out_from stays NULL when it is not kept. */
static bool find_kept(struct known *known, const struct project_service *service,
	struct snapshot *snapshot, const char *toolchain, const struct strings *env,
	char **out_from, struct error *err)
{
	const struct build_key_options how = {.app = known->app,
		.service = service,
		.toolchain = toolchain,
		.env = env,
		.network = !service->build.no_network};
	scoped(store_origin_free) struct store_origin origin = {0};
	char key[BUILD_KEY_SIZE];

	if (!build_key_of(&how, snapshot, key, err))
		return false;
	if (store_find(&known->store, key, &origin))
		*out_from = store_origin_text(&origin);
	return true;
}

/* A batch is kept when all of its tasks are; *out_from is that of the first. */
static bool find_kept_batch(struct known *known, const struct project_service *service,
	struct snapshot *snapshot, const char *toolchain, char **out_from, struct error *err)
{
	scoped(batch_file_free) struct batch_file batch = {0};
	scoped(text_free) char *first = NULL;
	scoped(error_free) struct error wrong = {0};

	if (!batch_file_read(service, snapshot, &batch, &wrong)) {
		error_ignore(&wrong, "a batch that cannot be read is told when it is built");
		return true;
	}
	for (size_t i = 0; i < batch.plan.count; i++) {
		scoped(strings_free) struct strings env = {0};
		scoped(text_free) char *from = NULL;

		project_pairs_add(&service->env, NULL, &env);
		batch_file_variables(&batch, i, &env);
		if (!find_kept(known, service, snapshot, toolchain, &env, &from, err))
			return false;
		if (!from)
			return true;
		if (!first) {
			first = from;
			from = NULL;
		}
	}
	*out_from = first;
	first = NULL;
	return true;
}

static bool kept(void *self, const struct project_service *service, struct snapshot *snapshot,
	const char *toolchain, char **out_from, struct error *err)
{
	return service->build.batch
		       ? find_kept_batch(self, service, snapshot, toolchain, out_from, err)
		       : find_kept(self, service, snapshot, toolchain, NULL, out_from, err);
}

/* What cannot be understood is left out: then the service is built. */
static bool read_record(struct ledger *ledger, const struct ledger_reads *row,
	struct narrow_record *out_record, bool *out_good, struct error *err)
{
	scoped(json_free) struct json *parts = NULL, *files = NULL;
	scoped(error_free) struct error wrong = {0};

	*out_good = false;
	if (!ledger_key_get(ledger, row->key, &parts, err))
		return false;
	if (!parts || !key_of_json(parts, &out_record->key, &wrong) ||
		strcmp(out_record->key.text, row->key) != 0 ||
		!json_parse(str_of(row->files), "files that a build read", NULL, &files, &wrong)) {
		error_ignore(&wrong, "nothing is known then");
		key_free(&out_record->key);
		return true;
	}
	for (size_t i = 0; i < json_count(files); i++)
		strings_add(&out_record->files, json_text(json_at(files, i), ""));
	strings_sort(&out_record->files);
	*out_good = true;
	return true;
}

bool known_records(struct ledger *ledger, const char *app, const char *service, const char *key,
	const char *rest, struct narrow_records *out_records, struct error *err)
{
	scoped(ledger_reads_list_free) struct ledger_reads_list list = {0};
	scoped(narrow_records_free) struct narrow_records records = {0};

	if (!ledger ||
		!ledger_reads_find(ledger, app, service, key, rest, PLAN_RECORDS_MAX, &list, err))
		return !ledger;
	records.items = memory_new_array(list.count + 1, sizeof(*records.items));
	for (size_t i = 0; i < list.count; i++) {
		bool good = false;

		if (!read_record(ledger, &list.items[i], &records.items[records.count], &good, err))
			return false;
		records.count += good;
	}
	*out_records = records;
	records = (struct narrow_records){0};
	return true;
}

static bool find_records(void *self, const char *service, const char *key, const char *rest,
	struct narrow_records *out_records, struct error *err)
{
	struct known *known = self;

	return known_records(known->ledger, known->app, service, key, rest, out_records, err);
}

bool known_read(struct known *known, struct ledger *ledger, const char *state,
	const struct project *project, const struct project_environment *environment,
	const char *place, struct error *err)
{
	*known = (struct known){.ledger = ledger, .app = project->app};
	known->plan = (struct plan_known){.built = built,
		.records = find_records,
		.self = known,
		.environment = environment,
		.place = place};
	if (state) {
		if (!build_key_store(state, &known->store, err))
			return false;
		known->plan.kept = kept;
	}
	if (!ledger)
		return true;
	if (!ledger_currents_find(ledger, project->app, environment ? environment->name : "",
		    &known->currents, err))
		return false;
	known->rows = memory_new_array(known->currents.count, sizeof(*known->rows));
	for (size_t i = 0; i < known->currents.count; i++) {
		const struct ledger_current *current = &known->currents.items[i];

		known->rows[i] = (struct plan_current){current->service, current->commit,
			current->key, current->image, current->deploy_key};
	}
	known->plan.currents = known->rows;
	known->plan.count = known->currents.count;
	return true;
}

void known_free(struct known *known)
{
	ledger_currents_free(&known->currents);
	free(known->rows);
	store_free(&known->store);
	*known = (struct known){0};
}

bool environment_choose(const struct project *project, const char *name, bool any_will_do,
	const struct project_environment **out_environment, struct error *err)
{
	const struct project_environments *all = &project->environments;
	scoped(buf_free) struct buf names = {0};

	*out_environment = NULL;
	if (name) {
		*out_environment = project_need_environment(project, name, err);
		return *out_environment != NULL;
	}
	if (all->count <= 1 || any_will_do) {
		*out_environment = all->count ? &all->items[0] : NULL;
		return true;
	}
	for (size_t i = 0; i < all->count; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", all->items[i].name);
	error_raise(err, ERROR_USAGE, "%s has several environments", project->file);
	return error_next(err, "choose one with --env: %s", buf_text(&names));
}
