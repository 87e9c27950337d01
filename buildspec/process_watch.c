#include "buildspec/process_watch.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/descendants.h"
#include "base/file.h"

enum { LOADAVG_SIZE = 128 };

/* "0.20 0.18 0.12 1/80 11206": the fourth is running/all. proc(5). */
static int64_t count_threads(void)
{
	scoped(buf_free) struct buf text = {0};
	scoped(error_free) struct error err = {0};
	int64_t count;

	if (!file_read("/proc/loadavg", LOADAVG_SIZE, &text, &err)) {
		error_ignore(&err, "then nothing is watched");
		return 0;
	}
	struct str rest = buf_str(&text);

	(void)str_cut(&rest, '/');
	return str_to_int(str_cut(&rest, ' '), &count) ? count : 0;
}

void process_watch_start(struct process_watch *watch, int64_t limit)
{
	*watch = (struct process_watch){.limit = limit,
		.at_start = count_threads(),
		.asked_ms = clock_elapsed(&system_clock)};
}

bool process_watch_is_over(struct process_watch *watch, pid_t process)
{
	scoped(descendants_free) struct descendants all = {0};
	int64_t now = clock_elapsed(&system_clock);

	if (!watch->limit || now - watch->asked_ms < PROCESS_WATCH_MS)
		return false;
	watch->asked_ms = now;
	if (count_threads() - watch->at_start <= watch->limit / 2)
		return false;
	descendants_find(process, &all);
	return (int64_t)all.count > watch->limit;
}
