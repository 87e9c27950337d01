#include "tests/test.h"

#include "base/buf.h"
#include "base/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a test's callbacks share: each appends its letter. */
struct story {
	struct loop *loop;
	struct buf told;
	struct watch *a, *b, *c;
	int pipe[2];
};

static void story_open(struct story *story)
{
	*story = (struct story){0};
	if (!loop_new(&story->loop, NULL) || pipe2(story->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
		abort();
}

static void story_close(struct story *story)
{
	loop_free(&story->loop);
	close(story->pipe[0]);
	close(story->pipe[1]);
	buf_free(&story->told);
}

static void turn(struct story *story, int64_t timeout_ms)
{
	struct error err = {0};

	REQUIRE_OK(loop_turn(story->loop, timeout_ms, &err));
}

static void tell_a(void *context)
{
	buf_append_char(&((struct story *)context)->told, 'a');
}

static void tell_b(void *context)
{
	buf_append_char(&((struct story *)context)->told, 'b');
}

static void tell_c_and_stop(void *context)
{
	struct story *story = context;

	buf_append_char(&story->told, 'c');
	loop_stop(story->loop);
}

TEST(timers_fire_in_order_of_their_time)
{
	scoped(story_close) struct story story;
	struct error err = {0};

	story_open(&story);
	loop_add_timer(story.loop, 20, tell_c_and_stop, &story);
	loop_add_timer(story.loop, 10, tell_b, &story);
	loop_add_timer(story.loop, 0, tell_a, &story);
	loop_add_timer(story.loop, -1, tell_a, &story); /* off */
	int64_t before = loop_now_ms(story.loop);
	REQUIRE_OK(loop_run(story.loop, &err));
	CHECK_TEXT(buf_text(&story.told), "abc");
	CHECK(loop_now_ms(story.loop) - before >= 20);
}

TEST(many_timers_removed_and_armed_again_keep_their_order)
{
	enum { COUNT = 200 };
	scoped(story_close) struct story story;
	struct error err = {0};
	struct watch *timers[COUNT];

	story_open(&story);
	for (int i = 0; i < COUNT; i++)
		timers[i] = loop_add_timer(story.loop, 3600000 + i * 7919 % 997, tell_b, &story);
	for (int i = 0; i < COUNT; i += 3)
		loop_remove(story.loop, &timers[i]);
	for (int i = 1; i < COUNT; i += 3)
		watch_set_delay(timers[i], -1);
	watch_set_delay(timers[1], 0);
	watch_set_delay(timers[2], 1);
	loop_add_timer(story.loop, 2, tell_c_and_stop, &story);
	REQUIRE_OK(loop_run(story.loop, &err));
	CHECK_TEXT(buf_text(&story.told), "bbc");
}

static void read_and_tell(void *context, unsigned bits)
{
	struct story *story = context;
	char byte;

	buf_append_char(&story->told, bits & LOOP_READ ? 'r' : '-');
	if (read(story->pipe[0], &byte, 1) == 1)
		buf_append_char(&story->told, byte);
}

TEST(a_descriptor_is_reported_while_it_is_ready_and_wanted)
{
	scoped(story_close) struct story story;

	story_open(&story);
	struct watch *watch =
		loop_add_fd(story.loop, story.pipe[0], LOOP_READ, read_and_tell, &story);
	turn(&story, 0);
	CHECK_TEXT(buf_text(&story.told), "");
	CHECK(write(story.pipe[1], "xy", 2) == 2);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "rx");
	watch_set_bits(watch, 0);
	turn(&story, 0);
	CHECK_TEXT(buf_text(&story.told), "rx");
	watch_set_bits(watch, LOOP_READ);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "rxry");
}

static void tell_bits(void *context, unsigned bits)
{
	buf_printf(&((struct story *)context)->told, "%u", bits);
}

TEST(a_hang_up_is_reported_to_a_reader_and_not_to_one_that_wants_nothing)
{
	scoped(story_close) struct story story;

	story_open(&story);
	struct watch *watch = loop_add_fd(story.loop, story.pipe[0], LOOP_READ, tell_bits, &story);
	close(story.pipe[1]);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "3");
	watch_set_bits(watch, 0);
	turn(&story, 0);
	CHECK_TEXT(buf_text(&story.told), "3");
	story.pipe[1] = dup(0);
}

static void remove_all(void *context, unsigned bits)
{
	struct story *story = context;

	(void)bits;
	buf_append_char(&story->told, 'x');
	loop_remove(story->loop, &story->a);
	loop_remove(story->loop, &story->b);
	loop_remove(story->loop, &story->c);
}

TEST(a_callback_removes_watches_that_are_ready_in_the_same_round)
{
	scoped(story_close) struct story story;
	int others[2];

	story_open(&story);
	REQUIRE(pipe2(others, O_CLOEXEC) == 0);
	CHECK(write(story.pipe[1], "x", 1) == 1 && write(others[1], "x", 1) == 1);
	/* Whichever comes first removes the other, itself and a timer that is due. */
	story.a = loop_add_fd(story.loop, story.pipe[0], LOOP_READ, remove_all, &story);
	story.b = loop_add_fd(story.loop, others[0], LOOP_READ, remove_all, &story);
	story.c = loop_add_timer(story.loop, 0, tell_a, &story);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "x");
	turn(&story, 0);
	CHECK_TEXT(buf_text(&story.told), "x");
	close(others[0]);
	close(others[1]);
}

TEST(a_signal_arrives_as_a_call_for_every_watch_of_it)
{
	scoped(story_close) struct story story;
	sigset_t blocked;

	story_open(&story);
	story.a = loop_add_signal(story.loop, SIGUSR1, tell_a, &story);
	story.b = loop_add_signal(story.loop, SIGUSR1, tell_b, &story);
	kill(getpid(), SIGUSR1);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "ab");
	loop_remove(story.loop, &story.a);
	kill(getpid(), SIGUSR1);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "abb");
	loop_remove(story.loop, &story.b);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	CHECK(!sigismember(&blocked, SIGUSR1));
}

static void remove_signals(void *context)
{
	remove_all(context, 0);
}

TEST(a_signal_callback_removes_all_watches_of_the_signal)
{
	scoped(story_close) struct story story;

	story_open(&story);
	story.a = loop_add_signal(story.loop, SIGUSR2, remove_signals, &story);
	story.b = loop_add_signal(story.loop, SIGUSR2, remove_signals, &story);
	kill(getpid(), SIGUSR2);
	turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "x");
}

TEST(the_end_of_a_process_is_told_once)
{
	scoped(story_close) struct story story;
	pid_t child = fork();

	if (child == 0)
		_exit(3);
	story_open(&story);
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	REQUIRE(pidfd >= 0);
	loop_add_process(story.loop, pidfd, tell_a, &story);
	turn(&story, -1);
	turn(&story, 0);
	CHECK_TEXT(buf_text(&story.told), "a");
	CHECK(waitpid(child, NULL, 0) == child);
	close(pidfd);
}

static int64_t idle_a(void *context)
{
	tell_a(context);
	return -1;
}

static int64_t idle_b_once(void *context)
{
	struct story *story = context;

	buf_append_char(&story->told, 'b');
	loop_remove(story->loop, &story->b);
	return 1;
}

TEST(idle_hooks_run_before_each_wait_and_shorten_it)
{
	scoped(story_close) struct story story;

	story_open(&story);
	story.b = loop_add_idle(story.loop, idle_b_once, &story);
	story.a = loop_add_idle(story.loop, idle_a, &story);
	turn(&story, -1); /* would never return without the hook's 1 ms */
	turn(&story, 0);
	CHECK_TEXT(buf_text(&story.told), "baa");
}

static void *wake(void *context)
{
	loop_wake(context);
	return NULL;
}

TEST(another_thread_wakes_the_loop)
{
	scoped(story_close) struct story story;
	pthread_t thread;

	story_open(&story);
	REQUIRE(pthread_create(&thread, NULL, wake, story.loop) == 0);
	turn(&story, -1);
	pthread_join(thread, NULL);
}

static void turn_inside(void *context)
{
	struct story *story = context;

	buf_append_char(&story->told, '(');
	turn(story, -1);
	loop_remove(story->loop, &story->a);
	buf_append_char(&story->told, ')');
}

TEST(a_callback_may_turn_the_loop_itself)
{
	scoped(story_close) struct story story;

	story_open(&story);
	story.a = loop_add_timer(story.loop, 0, turn_inside, &story);
	story.b = loop_add_timer(story.loop, 1, tell_b, &story);
	turn(&story, -1);
	while (!strchr(buf_text(&story.told), ')'))
		turn(&story, -1);
	CHECK_TEXT(buf_text(&story.told), "(b)");
}

TEST_MAIN()
