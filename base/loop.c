#include "base/loop.h"

#include "base/heap.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/*
 * One round: idle hooks -> epoll_wait until the next timer -> ready descriptors -> timers due.
 *
 * A callback may remove any watch, also one whose event is already fetched or on which an iteration
 * stands. So a removed watch loses its descriptor, its place in the heap and its kind at once, but
 * stays in its list and in memory until no round runs any more (bury): whoever still holds the
 * pointer sees WATCH_REMOVED.
 */

enum watch_kind {
	WATCH_REMOVED,
	WATCH_FD,
	WATCH_TIMER,
	WATCH_SIGNAL,
	WATCH_PROCESS,
	WATCH_IDLE,
	WATCH_WAKE,    /* the loop's own eventfd */
	WATCH_SIGNALS, /* the loop's own signalfd */
};

enum { EVENTS_PER_ROUND = 64 };

struct list {
	struct watch *first, *last; /* in the order they were added */
};

struct watch {
	enum watch_kind kind;
	struct loop *loop;
	struct list *list;
	struct watch *previous, *following; /* in its list */
	struct watch *removed_before;       /* in loop->removed */
	void *context;
	union {
		void (*ready)(void *context, unsigned bits);
		void (*call)(void *context);
		int64_t (*before_wait)(void *context);
	};
	int fd;               /* borrowed; -1 for kinds without */
	unsigned bits;        /* what epoll was asked for; 0: not registered */
	struct heap_item due; /* timers: ns on the monotonic clock */
	int signal;           /* signals */
	bool signal_is_new;   /* it was not blocked before us: unblock it with the last watch */
};

struct loop {
	int epoll_fd, signal_fd; /* signal_fd is -1 until the first signal is watched */
	int wake_fd;
	sigset_t signals;
	struct list hooks;  /* idle hooks and signals: looked through each time */
	struct list others; /* all other watches */
	struct watch *removed;
	struct heap timers; /* those that are armed */
	int64_t now_ns;
	unsigned depth; /* rounds running: a callback may itself turn the loop */
	bool stopped;
	struct watch *wake, *signal_source;
};

static int64_t read_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Running out of descriptors' bookkeeping or watching what cannot be watched is no state a caller
 * could go on from: as with memory, one clear line and the end. */
static void die(const char *action, int fd)
{
	fprintf(stderr, "loop: %s descriptor %d: %s\n", action, fd, strerror(errno));
	abort();
}

static struct list *list_of(struct loop *loop, enum watch_kind kind)
{
	return kind == WATCH_IDLE || kind == WATCH_SIGNAL ? &loop->hooks : &loop->others;
}

static struct watch *add(struct loop *loop, enum watch_kind kind, int fd, void *context)
{
	struct watch *watch = memory_new(sizeof(*watch));
	struct list *list = list_of(loop, kind);

	*watch = (struct watch){.kind = kind,
		.loop = loop,
		.list = list,
		.previous = list->last,
		.context = context,
		.fd = fd};
	if (list->last)
		list->last->following = watch;
	else
		list->first = watch;
	list->last = watch;
	return watch;
}

/* --- descriptors --- */

void watch_set_bits(struct watch *watch, unsigned bits)
{
	struct epoll_event event = {.data.ptr = watch};
	int operation = watch->bits ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (bits == watch->bits)
		return;
	if (bits & LOOP_READ)
		event.events |= EPOLLIN | EPOLLRDHUP;
	if (bits & LOOP_WRITE)
		event.events |= EPOLLOUT;
	/* Without bits epoll would go on reporting hang-ups, so the descriptor is taken out. */
	if (!bits)
		operation = EPOLL_CTL_DEL;
	/* Taking out may fail because the owner closed the descriptor first: epoll did it then. */
	if (epoll_ctl(watch->loop->epoll_fd, operation, watch->fd, &event) != 0 && bits)
		die("watch", watch->fd);
	watch->bits = bits;
}

struct watch *loop_add_fd(struct loop *loop, int fd, unsigned bits,
	void (*ready)(void *context, unsigned bits), void *context)
{
	struct watch *watch = add(loop, WATCH_FD, fd, context);

	watch->ready = ready;
	watch_set_bits(watch, bits);
	return watch;
}

struct watch *loop_add_process(struct loop *loop, int pidfd, void (*ended)(void *context),
	void *context)
{
	struct watch *watch = add(loop, WATCH_PROCESS, pidfd, context);

	watch->call = ended;
	watch_set_bits(watch, LOOP_READ);
	return watch;
}

/* --- timers --- */

void watch_set_delay(struct watch *watch, int64_t delay_ms)
{
	enum { NS_PER_MS = 1000000 };

	heap_remove(&watch->loop->timers, &watch->due);
	if (delay_ms < 0)
		return;
	if (delay_ms > INT64_MAX / NS_PER_MS / 2)
		delay_ms = INT64_MAX / NS_PER_MS / 2;
	/* From the clock, not from the round's time: a callback before this one may have taken long. */
	watch->due.due = read_clock_ns() + delay_ms * NS_PER_MS;
	heap_add(&watch->loop->timers, &watch->due);
}

struct watch *loop_add_timer(struct loop *loop, int64_t delay_ms, void (*due)(void *context),
	void *context)
{
	struct watch *watch = add(loop, WATCH_TIMER, -1, context);

	watch->call = due;
	watch_set_delay(watch, delay_ms);
	return watch;
}

/* --- signals --- */

static void update_signal_fd(struct loop *loop)
{
	int fd = signalfd(loop->signal_fd, &loop->signals, SFD_NONBLOCK | SFD_CLOEXEC);

	if (fd < 0)
		die("read signals from", loop->signal_fd);
	if (loop->signal_fd >= 0)
		return;
	loop->signal_fd = fd;
	loop->signal_source = add(loop, WATCH_SIGNALS, fd, NULL);
	watch_set_bits(loop->signal_source, LOOP_READ);
}

struct watch *loop_add_signal(struct loop *loop, int number, void (*arrived)(void *context),
	void *context)
{
	struct watch *watch = add(loop, WATCH_SIGNAL, -1, context);
	sigset_t one, before;

	watch->call = arrived;
	watch->signal = number;
	sigemptyset(&one);
	sigaddset(&one, number);
	pthread_sigmask(SIG_BLOCK, &one, &before);
	watch->signal_is_new = !sigismember(&before, number);
	sigaddset(&loop->signals, number);
	update_signal_fd(loop);
	return watch;
}

/* The last watch of a signal gives it back to the process as it was. */
static void release_signal(struct loop *loop, struct watch *watch)
{
	sigset_t one;

	for (struct watch *other = loop->hooks.first; other; other = other->following)
		if (other->kind == WATCH_SIGNAL && other->signal == watch->signal) {
			other->signal_is_new |= watch->signal_is_new;
			return;
		}
	sigdelset(&loop->signals, watch->signal);
	update_signal_fd(loop);
	sigemptyset(&one);
	sigaddset(&one, watch->signal);
	if (watch->signal_is_new)
		pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void deliver_signal(struct loop *loop, int number)
{
	/* Watches added by a callback are behind the last one and did not wait for this arrival. */
	struct watch *last = loop->hooks.last;

	for (struct watch *watch = loop->hooks.first; watch; watch = watch->following) {
		if (watch->kind == WATCH_SIGNAL && watch->signal == number)
			watch->call(watch->context);
		if (watch == last)
			break;
	}
}

static void read_signals(struct loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		deliver_signal(loop, (int)info.ssi_signo);
}

/* --- idle hooks --- */

struct watch *loop_add_idle(struct loop *loop, int64_t (*before_wait)(void *context), void *context)
{
	struct watch *watch = add(loop, WATCH_IDLE, -1, context);

	watch->before_wait = before_wait;
	return watch;
}

static int64_t shorter(int64_t a, int64_t b)
{
	if (a < 0)
		return b;
	return b < 0 || a < b ? a : b;
}

static int64_t call_idle_hooks(struct loop *loop)
{
	int64_t wait_ms = -1;

	for (struct watch *watch = loop->hooks.first; watch; watch = watch->following)
		if (watch->kind == WATCH_IDLE)
			wait_ms = shorter(wait_ms, watch->before_wait(watch->context));
	return wait_ms;
}

/* --- the loop --- */

bool loop_new(struct loop **out_loop, struct error *err)
{
	scoped(loop_free) struct loop *loop = memory_new(sizeof(*loop));

	loop->wake_fd = loop->signal_fd = -1;
	sigemptyset(&loop->signals);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return error_raise_errno(err, "create an epoll descriptor");
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0)
		return error_raise_errno(err, "create an event descriptor");
	loop->wake = add(loop, WATCH_WAKE, loop->wake_fd, NULL);
	watch_set_bits(loop->wake, LOOP_READ);
	loop->now_ns = read_clock_ns();
	*out_loop = loop;
	loop = NULL;
	return true;
}

static void unlink_watch(struct watch *watch)
{
	if (watch->previous)
		watch->previous->following = watch->following;
	else
		watch->list->first = watch->following;
	if (watch->following)
		watch->following->previous = watch->previous;
	else
		watch->list->last = watch->previous;
}

static void bury(struct loop *loop)
{
	while (loop->removed) {
		struct watch *watch = loop->removed;

		loop->removed = watch->removed_before;
		unlink_watch(watch);
		free(watch);
	}
}

void loop_remove(struct loop *loop, struct watch **watch)
{
	struct watch *gone = *watch;

	*watch = NULL;
	if (!gone)
		return;
	enum watch_kind kind = gone->kind;
	assert(gone->loop == loop && kind != WATCH_REMOVED);
	heap_remove(&loop->timers, &gone->due);
	if (gone->fd >= 0)
		watch_set_bits(gone, 0);
	gone->kind = WATCH_REMOVED;
	if (kind == WATCH_SIGNAL)
		release_signal(loop, gone);
	gone->removed_before = loop->removed;
	loop->removed = gone;
	if (loop->depth == 0)
		bury(loop);
}

static void remove_list(struct loop *loop, struct list *list)
{
	while (list->first) {
		struct watch *watch = list->first;

		loop_remove(loop, &watch);
	}
}

void loop_free(struct loop **loop)
{
	struct loop *gone = *loop;

	*loop = NULL;
	if (!gone)
		return;
	assert(gone->depth == 0);
	remove_list(gone, &gone->hooks);
	remove_list(gone, &gone->others);
	if (gone->signal_fd >= 0)
		close(gone->signal_fd);
	if (gone->wake_fd >= 0)
		close(gone->wake_fd);
	if (gone->epoll_fd >= 0)
		close(gone->epoll_fd);
	heap_free(&gone->timers);
	free(gone);
}

static void handle_event(struct loop *loop, const struct epoll_event *event)
{
	struct watch *watch = event->data.ptr;
	uint64_t count;
	unsigned bits = 0;

	switch (watch->kind) {
	case WATCH_FD:
		if (event->events & (EPOLLIN | EPOLLRDHUP))
			bits |= LOOP_READ;
		if (event->events & EPOLLOUT)
			bits |= LOOP_WRITE;
		if (event->events & (EPOLLERR | EPOLLHUP))
			bits = LOOP_READ | LOOP_WRITE;
		watch->ready(watch->context, bits);
		break;
	case WATCH_PROCESS:
		/* A pidfd stays readable for ever: said once. */
		watch_set_bits(watch, 0);
		watch->call(watch->context);
		break;
	case WATCH_SIGNALS:
		read_signals(loop);
		break;
	case WATCH_WAKE:
		/* Whatever it holds: being awake is the point. */
		if (read(loop->wake_fd, &count, sizeof(count)) < 0)
			break;
		break;
	case WATCH_REMOVED:
	case WATCH_TIMER:
	case WATCH_SIGNAL:
	case WATCH_IDLE:
		break;
	}
}

static void call_due_timers(struct loop *loop)
{
	struct heap_item *first;

	/* A timer armed by one of these calls is due after now_ns, so this ends. */
	while ((first = heap_first(&loop->timers)) != NULL && first->due <= loop->now_ns) {
		struct watch *timer =
			(struct watch *)(void *)((char *)first - offsetof(struct watch, due));

		heap_remove(&loop->timers, first);
		timer->call(timer->context);
	}
}

/* How long epoll may wait: rounded up, so that the timer is due when it returns. */
static int wait_limit(struct loop *loop, int64_t timeout_ms)
{
	const struct heap_item *first = heap_first(&loop->timers);

	if (first) {
		int64_t left_ns = first->due - read_clock_ns();

		timeout_ms = shorter(timeout_ms, left_ns <= 0 ? 0 : (left_ns + 999999) / 1000000);
	}
	return timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
}

bool loop_turn(struct loop *loop, int64_t timeout_ms, struct error *err)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	int count, system_errno;

	loop->depth++;
	timeout_ms = shorter(timeout_ms, call_idle_hooks(loop));
	count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, wait_limit(loop, timeout_ms));
	system_errno = errno;
	loop->now_ns = read_clock_ns();
	for (int i = 0; i < count; i++)
		handle_event(loop, &events[i]);
	call_due_timers(loop);
	if (--loop->depth == 0)
		bury(loop);
	errno = system_errno;
	if (count < 0 && errno != EINTR)
		return error_raise_errno(err, "wait for events");
	return true;
}

bool loop_run(struct loop *loop, struct error *err)
{
	loop->stopped = false;
	while (!loop->stopped)
		if (!loop_turn(loop, -1, err))
			return false;
	return true;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

void loop_wake(struct loop *loop)
{
	const uint64_t one = 1;
	int before = errno;

	/* Fails only when the counter is full, and then the loop wakes anyway. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		errno = before;
}

int64_t loop_now_ms(struct loop *loop)
{
	return loop->now_ns / 1000000;
}
