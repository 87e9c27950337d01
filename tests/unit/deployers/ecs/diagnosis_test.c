#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/diagnosis.h"

static struct json *parse(const char *text)
{
	struct json *value = NULL;
	struct error err = {0};

	CHECK_OK(json_parse(str_of(text), "test", NULL, &value, &err));
	error_free(&err);
	return value;
}

static void check_finding(const char *task, const char *sentence, bool hopeless)
{
	scoped(json_free) struct json *value = parse(task);
	scoped(finding_free) struct finding finding = diagnosis_of_task(value);

	CHECK_TEXT(finding.sentence, sentence);
	CHECK_INT(finding.hopeless, hopeless);
}

#define EXITED                                                                                     \
	"\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":"                             \
	"\"Essential container in task exited\""

TEST(exit_codes_are_read)
{
	check_finding("{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":139}]}",
		"container app exited with 139 (SIGSEGV)", false);
	check_finding("{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":1}]}",
		"container app exited with 1", false);
	check_finding("{" EXITED ",\"containers\":[{\"name\":\"proxy\"},{\"name\":\"app\","
		      "\"exitCode\":0}]}",
		"container app exited with 0", false);
	check_finding("{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":137,\"reason\":"
		      "\"OutOfMemoryError: Container killed due to memory usage\"}]}",
		"container app exited with 137 (SIGKILL, out of memory)", false);
	check_finding("{" EXITED ",\"containers\":[{\"name\":\"proxy\",\"exitCode\":0},"
		      "{\"name\":\"app\",\"exitCode\":134}]}",
		"container app exited with 134 (SIGABRT)", false);
}

TEST(a_container_that_never_started)
{
	check_finding("{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":"
		      "\"CannotPullContainerError: host/rooms@sha256:00: not found\","
		      "\"containers\":[{\"name\":\"app\"}]}",
		"CannotPullContainerError: host/rooms@sha256:00: not found", true);
	check_finding("{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"Task failed to "
		      "start\",\"containers\":[{\"name\":\"app\",\"reason\":\"CannotStartContainer"
		      "Error: exec /rooms: exec format error\"}]}",
		"container app: CannotStartContainerError: exec /rooms: exec format error", true);
	check_finding("{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":"
		      "\"ResourceInitializationError: unable to pull secrets: "
		      "AccessDeniedException\","
		      "\"containers\":[]}",
		"ResourceInitializationError: unable to pull secrets: AccessDeniedException", true);
	check_finding("{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":"
		      "\"CannotPullContainerError: i/o timeout\",\"containers\":[]}",
		"CannotPullContainerError: i/o timeout", false);
}

TEST(a_failed_health_check_is_a_failure_and_scaling_in_is_none)
{
	check_finding("{\"stopCode\":\"ServiceSchedulerInitiated\",\"stoppedReason\":"
		      "\"Task failed ELB health checks in (target-group x)\","
		      "\"containers\":[{\"name\":\"app\",\"exitCode\":143}]}",
		"Task failed ELB health checks in (target-group x)", false);
	check_finding("{\"stopCode\":\"ServiceSchedulerInitiated\",\"stoppedReason\":"
		      "\"Scaling activity initiated by (deployment ecs-svc/1)\","
		      "\"containers\":[{\"name\":\"app\",\"exitCode\":143}]}",
		NULL, false);
	check_finding("{\"stopCode\":\"SpotInterruption\",\"containers\":[]}", NULL, false);
}

static void add(struct diagnosis *diagnosis, const char *arn, int code, const char *line)
{
	scoped(text_free) char *text =
		memory_format("{\"taskArn\":\"%s\"," EXITED
			      ",\"containers\":[{\"name\":\"app\",\"exitCode\":%d}]}",
			arn, code);
	scoped(json_free) struct json *task = parse(text);
	scoped(finding_free) struct finding finding = {0};
	struct json *summary = NULL;

	if (!diagnosis_add(diagnosis, task, &finding, &summary) || !line)
		return;
	struct json *log = json_array_new();

	json_append(log, json_text_new("an earlier line"));
	json_append(log, json_text_new(line));
	json_set(summary, "log", log);
}

TEST(the_first_line_names_the_cause)
{
	scoped(diagnosis_free) struct diagnosis diagnosis = {0};
	scoped(text_free) char *cause = diagnosis_cause(&diagnosis, "rooms");

	CHECK(!cause);
	add(&diagnosis, "arn:task/1", 139, "cannot open /etc/rooms/config.json");
	add(&diagnosis, "arn:task/1", 139, NULL); /* the same task again counts once */
	CHECK_INT(diagnosis_same(&diagnosis), 1);
	text_free(&cause);
	cause = diagnosis_cause(&diagnosis, "rooms");
	CHECK_TEXT(cause, "rooms: container app exited with 139 (SIGSEGV): "
			  "cannot open /etc/rooms/config.json");
	add(&diagnosis, "arn:task/2", 1, "something else");
	add(&diagnosis, "arn:task/3", 139, NULL);
	CHECK_INT(diagnosis_same(&diagnosis), 2);
	text_free(&cause);
	cause = diagnosis_cause(&diagnosis, "rooms");
	CHECK_TEXT(cause, "rooms: container app exited with 139 (SIGSEGV) 2 times: "
			  "cannot open /etc/rooms/config.json");
	CHECK_INT(json_count(diagnosis.tasks), 3);
}

TEST_MAIN()
