#include "pipeline/cli/live_log.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OURS "[build] "
#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define RED "\033[31m"
#define PLAIN "\033[0m"
#define ERASE "\r\033[K"
enum { TURN_MS = 100, NAME_SIZE = 32 };

static struct {
	bool dressed, turns;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool ending;
	/* Under the lock: */
	char phase[NAME_SIZE]; /* "" between phases */
	int64_t began_ms;
	bool at_start; /* of a line: there is room for the turning one */
	bool shown;    /* it is there */
	unsigned step;
} live = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void show(const char *bytes, size_t size)
{
	struct error ignored = {0};

	if (!descriptor_write_all(2, bytes, size, "the log", &ignored))
		error_ignore(&ignored, "nobody reads it");
}

static void erase(void)
{
	if (live.shown)
		show(ERASE, strlen(ERASE));
	live.shown = false;
}

static void turn(void)
{
	static const char marks[] = "|/-\\";
	char line[NAME_SIZE + 64];
	int64_t took_ms = clock_elapsed(&system_clock) - live.began_ms;

	if (!live.phase[0] || !live.at_start)
		return;
	int size = snprintf(line, sizeof(line), ERASE "%c %s %lld.%lld s",
		marks[live.step++ % (sizeof(marks) - 1)], live.phase, (long long)(took_ms / 1000),
		(long long)(took_ms % 1000 / 100));

	show(line, (size_t)size);
	live.shown = true;
}

static void *run(void *self)
{
	(void)self;
	pthread_mutex_lock(&live.lock);
	while (!live.ending) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TURN_MS * 1000000l;
		until.tv_sec += until.tv_nsec / 1000000000l;
		until.tv_nsec %= 1000000000l;
		pthread_cond_timedwait(&live.ended, &live.lock, &until);
		if (!live.ending)
			turn();
	}
	pthread_mutex_unlock(&live.lock);
	return NULL;
}

static bool start_thread(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&live.thread, NULL, run, NULL) == 0;

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

void live_log_begin(bool turns)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	live.dressed = isatty(2) && !(no_colour && no_colour[0]) && !text_equal(terminal, "dumb");
	live.at_start = true;
	live.turns = live.dressed && turns && start_thread();
}

/* One of our own lines, dressed. */
static void dress(struct str line)
{
	static const char enter[] = OURS "Entering phase ", complete[] = OURS "Phase complete: ";
	scoped(buf_free) struct buf out = {0};
	char took[TIME_TEXT_SIZE];

	if (str_starts_with(line, enter)) {
		struct str name = str_trim(
			(struct str){line.data + strlen(enter), line.size - strlen(enter)});

		snprintf(live.phase, sizeof(live.phase), "%.*s", str_args(name));
		live.began_ms = clock_elapsed(&system_clock);
		buf_printf(&out, BOLD "%.*s" PLAIN "\n", str_args(str_trim(line)));
	} else if (str_starts_with(line, complete)) {
		duration_to_text(clock_elapsed(&system_clock) - live.began_ms, took);
		live.phase[0] = '\0';
		buf_printf(&out, "%s%.*s" PLAIN "  %s\n",
			str_ends_with(str_trim(line), "SUCCEEDED") ? GREEN : RED,
			str_args(str_trim(line)), took);
	} else {
		buf_append_str(&out, line);
	}
	show(out.data, out.size);
}

void live_log_take(void *self, struct str piece)
{
	(void)self;
	if (!live.dressed) {
		show(piece.data, piece.size);
		return;
	}
	if (!piece.size)
		return;
	pthread_mutex_lock(&live.lock);
	erase();
	/* Behind an unfinished line of a command ours begin with the end of that. */
	if (!live.at_start && str_starts_with(piece, "\n" OURS)) {
		show("\n", 1);
		live.at_start = true;
		piece = (struct str){piece.data + 1, piece.size - 1};
	}
	if (live.at_start && str_starts_with(piece, OURS))
		dress(piece);
	else
		show(piece.data, piece.size);
	live.at_start = piece.data[piece.size - 1] == '\n';
	pthread_mutex_unlock(&live.lock);
}

void live_log_end(void)
{
	if (live.turns) {
		pthread_mutex_lock(&live.lock);
		live.ending = true;
		erase();
		pthread_cond_signal(&live.ended);
		pthread_mutex_unlock(&live.lock);
		pthread_join(live.thread, NULL);
	}
	live.turns = live.dressed = live.ending = false;
}
