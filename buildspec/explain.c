#include "buildspec/explain.h"

#include "base/memory.h"
#include "buildspec/batch.h"
#include "buildspec/report.h"

char *explanation_on_failure(const struct phase_spec *phase)
{
	static const char *const names[] = {
		[ON_FAILURE_DEFAULT] = "",
		[ON_FAILURE_ABORT] = "ABORT",
		[ON_FAILURE_CONTINUE] = "CONTINUE",
		[ON_FAILURE_RETRY] = "RETRY",
	};

	if (phase->on_failure != ON_FAILURE_RETRY)
		return memory_copy_text(names[phase->on_failure]);
	return memory_format("RETRY-%d%s%s", phase->retry_count, phase->retry_regex ? "-" : "",
		phase->retry_regex ? phase->retry_regex : "");
}

/* The lines behind the first one stand below it. */
static void print_text(struct buf *out, const char *indent, const char *text)
{
	struct str rest = str_of(text);

	while (str_ends_with(rest, "\n"))
		rest.size--;
	for (const char *mark = "$ "; rest.data; mark = "  ") {
		struct str line = str_cut(&rest, '\n');

		buf_printf(out, "%s%s%.*s\n", indent, mark, str_args(line));
	}
}

static void print_list(struct buf *out, const char *title, const struct texts *list)
{
	for (size_t i = 0; i < list->count; i++)
		buf_printf(out, "%s%s", i ? ", " : title, list->items[i]);
	if (list->count)
		buf_append_char(out, '\n');
}

static void print_environment(struct buf *out, const struct environment *environment)
{
	size_t width = 0;

	for (size_t i = 0; i < environment->variables.count; i++) {
		size_t size = strlen(environment->variables.items[i]);

		width = size > width && size <= 60 ? size : width;
	}
	buf_append_text(out, "environment\n");
	for (size_t i = 0; i < environment->variables.count; i++)
		buf_printf(out, "  %-*s  (%s)\n", (int)width, environment->variables.items[i],
			environment->origins.items[i]);
	for (size_t i = 0; i < environment->skipped.count; i++)
		buf_printf(out, "  %s is left out: no shell can hold it\n",
			environment->skipped.items[i]);
}

static void print_phase(struct buf *out, const struct buildspec *spec, enum phase which)
{
	const struct phase_spec *phase = &spec->phases[which];
	const char *user = phase->run_as ? phase->run_as : spec->run_as;
	scoped(text_free) char *on_failure = explanation_on_failure(phase);

	buf_printf(out, "phase %s\n", phase_key(which));
	if (user)
		buf_printf(out, "  run as %s\n", user);
	if (on_failure[0])
		buf_printf(out, "  on failure %s\n", on_failure);
	for (size_t i = 0; i < phase->runtimes.count; i++)
		buf_printf(out, "  runtime %s %s: not installed here\n",
			phase->runtimes.items[i].name, phase->runtimes.items[i].value);
	for (size_t i = 0; i < phase->commands.count; i++)
		print_text(out, "  ", phase->commands.items[i]);
	if (phase->finally.count)
		buf_append_text(out, "  finally\n");
	for (size_t i = 0; i < phase->finally.count; i++)
		print_text(out, "    ", phase->finally.items[i]);
	if (!phase->commands.count && !phase->finally.count)
		buf_append_text(out, "  nothing\n");
}

static void print_artifact(struct buf *out, const struct artifact_spec *artifact)
{
	buf_printf(out, "artifact %s\n", artifact->identifier ? artifact->identifier : "(primary)");
	if (artifact->name)
		buf_printf(out, "  name %s\n", artifact->name);
	if (artifact->base_directory)
		buf_printf(out, "  below %s\n", artifact->base_directory);
	print_list(out, "  files ", &artifact->files);
	print_list(out, "  without ", &artifact->exclude_paths);
	if (artifact->discard_paths)
		buf_append_text(out, "  only the names of files are kept\n");
	if (artifact->enable_symlinks)
		buf_append_text(out, "  enable-symlinks: of ZIP output, no effect here\n");
	if (artifact->s3_prefix)
		buf_append_text(out, "  s3-prefix: no effect here\n");
}

static void print_report(struct buf *out, const struct report_spec *report)
{
	buf_printf(out, "report %s\n", report->group);
	buf_printf(out, "  format %s\n", report->format->name);
	if (report->base_directory)
		buf_printf(out, "  below %s\n", report->base_directory);
	print_list(out, "  files ", &report->files);
}

static void print_cache(struct buf *out, const struct cache_spec *cache)
{
	if (!cache->paths.count)
		return;
	buf_append_text(out, "cache\n");
	print_list(out, "  paths ", &cache->paths);
	if (cache->key)
		buf_printf(out, "  key %s\n", cache->key);
	print_list(out, "  else the newest that begins with ", &cache->fallback_keys);
	if (!cache->saves || !cache->restores)
		buf_printf(out, "  %s only\n", cache->saves ? "save" : "restore");
}

static void print_task(struct buf *out, const struct batch_plan *plan,
	const struct batch_plan_task *task)
{
	buf_printf(out, "  %s%s%s\n", task->identifier, task->buildspec ? ": " : "",
		task->buildspec ? task->buildspec : "");
	for (size_t i = 0; i < task->after_count; i++)
		buf_printf(out, "%s%s%s", i ? ", " : "    after ",
			plan->tasks[task->after[i]].identifier,
			i + 1 == task->after_count ? "\n" : "");
	if (task->env.image)
		buf_printf(out, "    image %s\n", task->env.image);
	for (size_t i = 0; i < task->env.variables.count; i++)
		buf_printf(out, "    %s=%s\n", task->env.variables.items[i].name,
			task->env.variables.items[i].value);
	if (task->ignore_failure)
		buf_append_text(out, "    its failure is ignored\n");
}

static void print_batch(struct buf *out, const struct batch_spec *spec)
{
	scoped(arena_free) struct arena arena = {0};
	struct batch_plan plan;

	if (!spec->kind)
		return;
	batch_make_plan(spec, &arena, &plan);
	buf_printf(out, "batch %s%s\n", batch_kind_name(spec->kind),
		plan.fast_fail ? ", a failure ends it" : "");
	for (size_t i = 0; i < plan.count; i++)
		print_task(out, &plan, &plan.tasks[i]);
}

void explanation_print(const struct explanation *explanation, struct buf *out)
{
	const struct buildspec *spec = explanation->spec;

	buf_printf(out, "%s, version 0.%d, shell %s\n", explanation->file, spec->minor,
		spec->minor == 1 ? "/bin/sh" : spec->shell);
	print_environment(out, explanation->environment);
	for (int i = 0; i < PHASE_COUNT; i++)
		print_phase(out, spec, (enum phase)i);
	print_list(out, "exported variables ", &spec->exported);
	for (size_t i = 0; i < spec->artifact_count; i++)
		print_artifact(out, &spec->artifacts[i]);
	for (size_t i = 0; i < spec->report_count; i++)
		print_report(out, &spec->reports[i]);
	print_cache(out, &spec->cache);
	if (spec->proxy_artifacts || spec->proxy_logs)
		buf_append_text(out, "proxy: of CodeBuild in a private network, no effect here\n");
	print_batch(out, &spec->batch);
}
