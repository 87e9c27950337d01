#include "deployers/ecs/diagnosis.h"

#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

void finding_free(struct finding *finding)
{
	free(finding->sentence);
	free(finding->container);
	*finding = (struct finding){0};
}

/* Pieces of reasons that another try cannot mend. */
static const char *const hopeless[] = {
	"*CannotPull*not found*",
	"*CannotPull*not exist*",
	"*CannotPull*manifest unknown*",
	"*CannotPull*denied*",
	"*CannotPull*no image*",
	"*CannotPull*platform*",
	"*exec format error*",
	"*executable file not found*",
	"*exec*no such file or directory*",
	"*ResourceInitializationError*AccessDenied*",
	"*ResourceInitializationError*ResourceNotFound*",
	"*ResourceInitializationError*not authorized*",
};

static bool is_hopeless(const char *reason)
{
	for (size_t i = 0; i < countof(hopeless); i++)
		if (text_matches(reason, hopeless[i]))
			return true;
	return false;
}

/* " (SIGSEGV)" for 139: shells and container runtimes add 128 to the signal's number. */
static char *signal_note(int64_t exit_code, const char *reason)
{
	const char *name =
		exit_code > 128 && exit_code < 128 + 64 ? sigabbrev_np((int)exit_code - 128) : NULL;
	bool out_of_memory = strstr(reason, "OutOfMemory") != NULL;

	if (!name)
		return memory_copy_text(out_of_memory ? " (out of memory)" : "");
	return memory_format(" (SIG%s%s)", name, out_of_memory ? ", out of memory" : "");
}

/* The scheduler's own reasons are no failures; these are, and the container did not even exit. */
static bool is_health_failure(const char *reason)
{
	return text_matches(reason, "*failed*health check*") || strstr(reason, "is unhealthy");
}

static bool was_told_to_stop(const struct json *task)
{
	static const char *const codes[] = {"UserInitiated", "ServiceSchedulerInitiated",
		"SpotInterruption", "TerminationNotice", "InfrastructureHealth"};
	const char *code = json_get_text(task, "stopCode", "");

	for (size_t i = 0; i < countof(codes); i++)
		if (text_equal(code, codes[i]))
			return true;
	return false;
}

/* The container that is to blame: the first with a reason or a bad exit; else the first that
 * exited at all (a service's program must not). */
static const struct json *guilty_container(const struct json *task)
{
	const struct json *containers = json_get(task, "containers"), *exited = NULL;

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *container = json_at(containers, i);
		const struct json *code = json_get(container, "exitCode");

		if (json_get_text(container, "reason", NULL) || json_int(code, 0) != 0)
			return container;
		if (code && !exited)
			exited = container;
	}
	return exited;
}

static char *container_sentence(const struct json *container, const char *stopped_reason)
{
	const char *name = json_get_text(container, "name", "?");
	const char *reason = json_get_text(container, "reason", "");
	const struct json *code = json_get(container, "exitCode");

	if (code) {
		scoped(text_free) char *note = signal_note(json_int(code, 0), reason);

		return memory_format("container %s exited with %lld%s", name,
			(long long)json_int(code, 0), note);
	}
	return memory_format("container %s: %s", name, *reason ? reason : stopped_reason);
}

struct finding diagnosis_of_task(const struct json *task)
{
	const char *reason = json_get_text(task, "stoppedReason", "");
	const struct json *container = guilty_container(task);
	const char *container_reason = json_get_text(container, "reason", "");
	struct finding finding = {0};

	finding.hopeless = is_hopeless(reason) || is_hopeless(container_reason);
	if (is_health_failure(reason)) {
		finding.sentence = memory_copy_text(reason);
	} else if (was_told_to_stop(task)) {
		finding.hopeless = false;
	} else if (container && (json_get(container, "exitCode") || *container_reason)) {
		finding.sentence = container_sentence(container, reason);
	} else {
		finding.sentence = memory_copy_text(*reason ? reason
							    : "a task stopped, ECS does "
							      "not say why");
	}
	if (finding.sentence)
		finding.container = memory_copy_text(
			json_get_text(container ? container
						: json_at(json_get(task, "containers"), 0),
				"name", NULL));
	return finding;
}

struct json *diagnosis_summary(const struct json *task)
{
	struct json *summary = json_object_new(), *containers = json_array_new();
	static const char *const texts[][2] = {{"status", "lastStatus"}, {"health", "healthStatus"},
		{"stop_code", "stopCode"}, {"stopped_reason", "stoppedReason"}};

	json_set_text(summary, "task", path_base(json_get_text(task, "taskArn", "?")));
	for (size_t i = 0; i < countof(texts); i++)
		json_set(summary, texts[i][0], json_copy(json_get(task, texts[i][1])));
	for (size_t i = 0; i < json_count(json_get(task, "containers")); i++) {
		const struct json *container = json_at(json_get(task, "containers"), i);
		static const char *const members[][2] = {{"name", "name"},
			{"exit_code", "exitCode"}, {"reason", "reason"},
			{"image_digest", "imageDigest"}};
		struct json *row = json_object_new();

		for (size_t j = 0; j < countof(members); j++)
			json_set(row, members[j][0], json_copy(json_get(container, members[j][1])));
		json_append(containers, row);
	}
	json_set(summary, "containers", containers);
	return summary;
}

void diagnosis_free(struct diagnosis *diagnosis)
{
	json_free(&diagnosis->tasks);
	strings_free(&diagnosis->seen);
	strings_free(&diagnosis->sentences);
	*diagnosis = (struct diagnosis){0};
}

bool diagnosis_add(struct diagnosis *diagnosis, const struct json *task,
	struct finding *out_finding, struct json **out_summary)
{
	const char *arn = json_get_text(task, "taskArn", "");
	struct json *summary;

	*out_finding = (struct finding){0};
	if (strings_contain(&diagnosis->seen, arn))
		return false;
	strings_add(&diagnosis->seen, arn);
	*out_finding = diagnosis_of_task(task);
	summary = diagnosis_summary(task);
	if (!diagnosis->tasks)
		diagnosis->tasks = json_array_new();
	json_append(diagnosis->tasks, summary);
	if (out_finding->sentence) {
		strings_add(&diagnosis->sentences, out_finding->sentence);
		json_set_text(summary, "cause", out_finding->sentence);
	}
	diagnosis->hopeless = diagnosis->hopeless || out_finding->hopeless;
	*out_summary = summary;
	return true;
}

static int count_of(const struct diagnosis *diagnosis, const char *sentence)
{
	int count = 0;

	for (size_t i = 0; i < diagnosis->sentences.count; i++)
		count += text_equal(diagnosis->sentences.items[i], sentence);
	return count;
}

static const char *commonest(const struct diagnosis *diagnosis, int *out_count)
{
	const char *best = NULL;

	*out_count = 0;
	for (size_t i = 0; i < diagnosis->sentences.count; i++) {
		int count = count_of(diagnosis, diagnosis->sentences.items[i]);

		if (count > *out_count) {
			*out_count = count;
			best = diagnosis->sentences.items[i];
		}
	}
	return best;
}

int diagnosis_same(const struct diagnosis *diagnosis)
{
	int count;

	(void)commonest(diagnosis, &count);
	return count;
}

/* The last line that a task with this sentence wrote. */
static const char *last_line(const struct diagnosis *diagnosis, const char *sentence)
{
	for (size_t i = json_count(diagnosis->tasks); i-- > 0;) {
		const struct json *summary = json_at(diagnosis->tasks, i);
		const struct json *log = json_get(summary, "log");

		if (json_count(log) && text_equal(json_get_text(summary, "cause", NULL), sentence))
			return json_text(json_at(log, json_count(log) - 1), NULL);
	}
	return NULL;
}

char *diagnosis_cause(const struct diagnosis *diagnosis, const char *service)
{
	int count;
	const char *sentence = commonest(diagnosis, &count);
	struct buf out = {0};

	if (!sentence)
		return NULL;
	buf_printf(&out, "%s: %s", service, sentence);
	if (count > 1)
		buf_printf(&out, " %d times", count);
	const char *line = last_line(diagnosis, sentence);

	if (line)
		buf_printf(&out, ": %.300s", line);
	return buf_take(&out);
}
