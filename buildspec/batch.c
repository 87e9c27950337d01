#include "buildspec/batch.h"

#include <assert.h>

const char *batch_kind_name(enum batch_kind kind)
{
	static const char *const names[] = {
		[BATCH_NONE] = "none",
		[BATCH_LIST] = "build-list",
		[BATCH_GRAPH] = "build-graph",
		[BATCH_MATRIX] = "build-matrix",
		[BATCH_FANOUT] = "build-fanout",
	};

	return names[kind];
}

bool batch_is_all(const struct buildspec *spec)
{
	for (size_t i = 0; i < PHASE_COUNT; i++)
		if (spec->phases[i].commands.count || spec->phases[i].finally.count)
			return false;
	return spec->batch.kind != BATCH_NONE;
}

static size_t index_of(const struct batch_plan *plan, const char *identifier)
{
	for (size_t i = 0; i < plan->count; i++)
		if (text_equal(plan->tasks[i].identifier, identifier))
			return i;
	return SIZE_MAX;
}

static bool is_ready(const struct batch_plan *plan, const struct batch_task *task)
{
	for (size_t i = 0; i < task->depend_on.count; i++)
		if (index_of(plan, task->depend_on.items[i]) == SIZE_MAX)
			return false;
	return true;
}

static void add_task(struct batch_plan *plan, const struct batch_task *task, struct arena *arena)
{
	struct batch_plan_task *out = &plan->tasks[plan->count];

	*out = (struct batch_plan_task){.identifier = task->identifier,
		.buildspec = task->buildspec,
		.env = task->env,
		.after = arena_new(arena, (task->depend_on.count + 1) * sizeof(*out->after)),
		.after_count = task->depend_on.count,
		.ignore_failure = task->ignore_failure,
		.debug_session = task->debug_session};
	for (size_t i = 0; i < task->depend_on.count; i++)
		out->after[i] = index_of(plan, task->depend_on.items[i]);
	plan->count++;
}

/* In the order of the file as far as dependencies allow. */
static void plan_tasks(const struct batch_spec *spec, struct arena *arena, struct batch_plan *plan)
{
	bool *placed = arena_new(arena, (spec->task_count + 1) * sizeof(*placed));

	while (plan->count < spec->task_count) {
		size_t before = plan->count;

		for (size_t i = 0; i < spec->task_count; i++)
			if (!placed[i] && is_ready(plan, &spec->tasks[i])) {
				placed[i] = true;
				add_task(plan, &spec->tasks[i], arena);
			}
		assert(plan->count > before); /* the reader refuses cycles */
		(void)before;
	}
}

static size_t at_least_one(size_t count)
{
	return count ? count : 1;
}

static size_t count_combinations(const struct batch_matrix *matrix)
{
	size_t count = at_least_one(matrix->buildspecs.count) *
		       at_least_one(matrix->compute_types.count) *
		       at_least_one(matrix->images.count);

	for (size_t i = 0; i < matrix->variable_count; i++)
		count *= at_least_one(matrix->variables[i].values.count);
	return count;
}

/* The value of one axis in the combination that *number stands for, and the number for the rest. */
static const char *pick(const struct texts *axis, size_t *number, const char *fallback)
{
	if (!axis->count)
		return fallback;
	size_t index = *number % axis->count;

	*number /= axis->count;
	return axis->items[index];
}

static void plan_combination(const struct batch_matrix *matrix, size_t number, struct arena *arena,
	struct batch_plan *plan)
{
	struct batch_plan_task *task = &plan->tasks[plan->count++];
	size_t left = number;

	*task = (struct batch_plan_task){.identifier =
						 arena_format(arena, "matrix_%zu", number + 1),
		.env = matrix->env,
		.ignore_failure = matrix->ignore_failure,
		.debug_session = matrix->debug_session};
	struct variables variables = {arena_new(arena, (matrix->variable_count + 1) *
							       sizeof(*variables.items)),
		matrix->variable_count};

	for (size_t i = matrix->variable_count; i-- > 0;)
		variables.items[i] = (struct variable_spec){matrix->variables[i].name,
			pick(&matrix->variables[i].values, &left, "")};
	task->env.variables = variables;
	task->env.image = pick(&matrix->images, &left, matrix->env.image);
	task->env.compute_type = pick(&matrix->compute_types, &left, matrix->env.compute_type);
	task->buildspec = pick(&matrix->buildspecs, &left, NULL);
}

static size_t count_tasks(const struct batch_spec *spec)
{
	switch (spec->kind) {
	case BATCH_LIST:
	case BATCH_GRAPH:
		return spec->task_count;
	case BATCH_MATRIX:
		return count_combinations(&spec->matrix);
	case BATCH_FANOUT:
		return (size_t)spec->parallelism;
	case BATCH_NONE:
		break;
	}
	return 0;
}

void batch_make_plan(const struct batch_spec *spec, struct arena *arena,
	struct batch_plan *out_plan)
{
	size_t count = count_tasks(spec);
	struct batch_plan plan = {spec->fast_fail,
		arena_new(arena, (count + 1) * sizeof(*plan.tasks)), 0};

	assert(count <= BATCH_TASKS_MAX);
	if (spec->kind == BATCH_LIST || spec->kind == BATCH_GRAPH)
		plan_tasks(spec, arena, &plan);
	for (size_t i = 0; spec->kind == BATCH_MATRIX && i < count; i++)
		plan_combination(&spec->matrix, i, arena, &plan);
	for (size_t i = 0; spec->kind == BATCH_FANOUT && i < count; i++)
		plan.tasks[plan.count++] =
			(struct batch_plan_task){.identifier =
							 arena_format(arena, "shard_%zu", i + 1),
				.ignore_failure = spec->ignore_failure};
	*out_plan = plan;
}

static void write_env(const struct batch_env *env, struct json_writer *w)
{
	json_key(w, "env");
	json_object_begin(w);
	json_put_text(w, "compute_type", env->compute_type);
	json_put_text(w, "fleet", env->fleet);
	json_put_text(w, "image", env->image);
	json_put_text(w, "type", env->type);
	json_put_bool(w, "privileged_mode", env->privileged);
	json_key(w, "variables");
	json_object_begin(w);
	for (size_t i = 0; i < env->variables.count; i++)
		json_put_text(w, env->variables.items[i].name, env->variables.items[i].value);
	json_object_end(w);
	json_object_end(w);
}

static void write_task(const struct batch_plan *plan, const struct batch_plan_task *task,
	struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "identifier", task->identifier);
	json_put_text(w, "buildspec", task->buildspec);
	json_key(w, "depend_on");
	json_array_begin(w);
	for (size_t i = 0; i < task->after_count; i++)
		json_write_text(w, plan->tasks[task->after[i]].identifier);
	json_array_end(w);
	json_put_bool(w, "ignore_failure", task->ignore_failure);
	json_put_bool(w, "debug_session", task->debug_session);
	write_env(&task->env, w);
	json_object_end(w);
}

void batch_plan_write(const struct batch_plan *plan, enum batch_kind kind, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "kind", batch_kind_name(kind));
	json_put_bool(w, "fast_fail", plan->fast_fail);
	json_key(w, "tasks");
	json_array_begin(w);
	for (size_t i = 0; i < plan->count; i++)
		write_task(plan, &plan->tasks[i], w);
	json_array_end(w);
	json_object_end(w);
}
