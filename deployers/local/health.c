#include "deployers/local/health.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

struct health {
	struct cloud *cloud;
	struct strings argv; /* owned */
	int64_t interval_ms, timeout_ms, start_period_ms;
	int retries;
	void (*changed)(void *context);
	void *context;

	enum health_state state;
	int64_t started_ms, counted_ms; /* monotonic; counted: when a failure last counted */
	int64_t pause_ms;
	int failures;
	bool running, timed_out;
	int nothing; /* /dev/null: what checks print is nobody's */
	struct process process;
	struct watch *ended, *timer; /* timer: the next check, or the end of this one's patience */
};

enum { FIRST_PAUSE_MS = 100 };

const char *health_state_name(enum health_state state)
{
	static const char *const names[] = {
		[HEALTH_UNKNOWN] = "UNKNOWN",
		[HEALTH_HEALTHY] = "HEALTHY",
		[HEALTH_UNHEALTHY] = "UNHEALTHY",
	};

	return names[state];
}

enum health_state health_state(const struct health *health)
{
	return health ? health->state : HEALTH_UNKNOWN;
}

static void set_state(struct health *health, enum health_state state)
{
	if (health->state == state)
		return;
	health->state = state;
	health->changed(health->context);
}

static void count_failure(struct health *health)
{
	int64_t now_ms = loop_now_ms(health->cloud->loop);

	if (now_ms - health->started_ms < health->start_period_ms ||
		now_ms - health->counted_ms < health->interval_ms)
		return;
	health->counted_ms = now_ms;
	if (++health->failures >= health->retries)
		set_state(health, HEALTH_UNHEALTHY);
}

static void next_pause(struct health *health)
{
	if (health->state == HEALTH_HEALTHY)
		health->pause_ms = health->interval_ms;
	else if (health->pause_ms < health->interval_ms / 2)
		health->pause_ms *= 2;
	else
		health->pause_ms = health->interval_ms;
}

static void check_ended(void *context)
{
	struct health *health = context;
	struct process_exit result = {0};
	struct error err = {0};
	bool good = process_wait(&health->process, &result, &err) && result.exited &&
		    result.status == 0 && !health->timed_out;

	error_ignore(&err, "a check that cannot be waited for has failed");
	loop_remove(health->cloud->loop, &health->ended);
	process_free(&health->process);
	health->running = false;
	if (good)
		health->failures = 0;
	else
		count_failure(health);
	if (good && health->state != HEALTH_HEALTHY)
		set_state(health, HEALTH_HEALTHY);
	next_pause(health);
	watch_set_delay(health->timer, health->pause_ms);
}

static void check_start(struct health *health)
{
	struct process_options options = {.argv = (const char *const *)health->argv.items,
		.stdout_fd = health->nothing,
		.stderr_fd = health->nothing};
	struct error err = {0};

	health->timed_out = false;
	if (!process_start(&options, &health->process, &err)) {
		error_ignore(&err, "counts as a failed check");
		count_failure(health);
		watch_set_delay(health->timer, health->interval_ms);
		return;
	}
	health->running = true;
	health->ended =
		loop_add_process(health->cloud->loop, health->process.pidfd, check_ended, health);
	watch_set_delay(health->timer, health->timeout_ms);
}

static void timer_due(void *context)
{
	struct health *health = context;

	if (!health->running) {
		check_start(health);
		return;
	}
	health->timed_out = true;
	kill(-health->process.pid, SIGKILL);
}

static int64_t seconds(const struct json *check, const char *key, int64_t fallback, int64_t most)
{
	int64_t value = json_get_int(check, key, fallback);

	if (value < 0)
		value = fallback;
	return 1000 * (value > most ? most : value);
}

/* ["CMD-SHELL", "…"], ["CMD", program, …] or the program and its arguments. */
static bool add_command(const struct json *command, struct strings *out)
{
	const char *kind = json_text(json_at(command, 0), "");
	size_t first = text_equal(kind, "CMD") ? 1 : 0;

	if (text_equal(kind, "NONE") || json_count(command) <= first)
		return false;
	if (text_equal(kind, "CMD-SHELL")) {
		strings_add(out, "/bin/sh");
		strings_add(out, "-c");
		strings_add(out, json_text(json_at(command, 1), ""));
		return true;
	}
	for (size_t i = first; i < json_count(command); i++)
		strings_add(out, json_text(json_at(command, i), ""));
	return true;
}

struct health *health_start(struct cloud *cloud, struct runtime *runtime, const char *id,
	const struct json *container, void (*changed)(void *context), void *context)
{
	const struct json *check = json_get(container, "healthCheck");
	struct strings argv = {0};

	runtime_exec_command(runtime, id, &argv);
	if (!check || !add_command(json_get(check, "command"), &argv)) {
		strings_free(&argv);
		return NULL;
	}
	struct health *health = memory_new(sizeof(*health));

	health->cloud = cloud;
	health->nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	health->argv = argv;
	health->interval_ms = seconds(check, "interval", 30, 300);
	health->timeout_ms = seconds(check, "timeout", 5, 60);
	health->start_period_ms = seconds(check, "startPeriod", 0, 300);
	health->retries = (int)json_get_int(check, "retries", 3);
	health->changed = changed;
	health->context = context;
	health->started_ms = health->counted_ms = loop_now_ms(cloud->loop);
	health->pause_ms = FIRST_PAUSE_MS;
	health->timer = loop_add_timer(cloud->loop, FIRST_PAUSE_MS, timer_due, health);
	return health;
}

void health_stop(struct health **health)
{
	struct health *check = *health;
	struct process_exit ignored;

	if (!check)
		return;
	loop_remove(check->cloud->loop, &check->timer);
	loop_remove(check->cloud->loop, &check->ended);
	if (check->running) {
		process_stop(&check->process, 0, &ignored);
		process_free(&check->process);
	}
	descriptor_close(&check->nothing);
	strings_free(&check->argv);
	free(check);
	*health = NULL;
}
