/*
 * loop.h - one thread waiting for descriptors, timers, signals and children (epoll).
 *
 * Callbacks run one after the other inside loop_run(); they may add and remove any watch, also
 * their own. A watch is freed by loop_remove() and never called again after it.
 *
 * Threads  a loop belongs to one thread; loop_wake() alone may be called from others and from
 *          signal handlers.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/error.h"

#include <sys/types.h>

struct loop;
struct watch; /* one thing being waited for */

bool loop_new(struct loop **out_loop, struct error *err) must_use;
void loop_free(struct loop **loop); /* frees its watches; closes no descriptor of others */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
/* ready is called with the LOOP_* bits that hold (both on error or hang-up, so reading shows it). */
struct watch *loop_add_fd(struct loop *loop, int fd, unsigned bits,
	void (*ready)(void *context, unsigned bits), void *context);
void watch_set_bits(struct watch *watch, unsigned bits);

/* Calls due once after delay_ms; watch_set_delay() arms it again (negative: off). */
struct watch *loop_add_timer(struct loop *loop, int64_t delay_ms, void (*due)(void *context),
	void *context);
void watch_set_delay(struct watch *watch, int64_t delay_ms);

/* Signals are blocked for the process and arrive as calls. */
struct watch *loop_add_signal(struct loop *loop, int number, void (*arrived)(void *context),
	void *context);

/* Calls ended when the process (any process, not only a child) is gone; does not reap. The pidfd
 * is borrowed. */
struct watch *loop_add_process(struct loop *loop, int pidfd, void (*ended)(void *context),
	void *context);

/* Called before each wait, for libraries with their own descriptors and timeouts: returns in how
 * many ms it wants to be called again at the latest, -1 for never. */
struct watch *loop_add_idle(struct loop *loop, int64_t (*before_wait)(void *context),
	void *context);

void loop_remove(struct loop *loop, struct watch **watch); /* NULL inside is fine */

/* Runs until loop_stop(). */
bool loop_run(struct loop *loop, struct error *err) must_use;
/* Waits at most timeout_ms (-1: as long as it takes) for one round of events and handles it. */
bool loop_turn(struct loop *loop, int64_t timeout_ms, struct error *err) must_use;
void loop_stop(struct loop *loop);
void loop_wake(struct loop *loop);
int64_t loop_now_ms(struct loop *loop); /* monotonic, read once per round */

#endif
