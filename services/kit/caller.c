#include "services/kit/caller.h"

#include "base/clock.h"
#include "base/http_client.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	QUEUE = 1024,
	PARALLEL = 8,
	ATTEMPTS = 2,
	PAUSE_MS = 20,     /* before the second attempt */
	TRIP_AFTER = 3,    /* failures in a row until calls fail at once… */
	TRIPPED_MS = 1000, /* …for this long */
	BODY_LIMIT = 1 << 20,
};

struct call {
	char *url; /* owned */
	char parent[TRACE_PARENT_SIZE];
	char state[TRACE_STATE_SIZE];
	char request_id[REQUEST_ID_SIZE];
	void (*done)(void *context, const struct call_answer *answer);
	void *context;
	struct http_response response; /* owned; written by the thread while it has the call */
	char *why;                     /* owned; the same */
	struct call *following;
};

struct calls {
	struct call *first, **last;
	size_t count;
};

struct caller {
	struct loop *loop; /* borrowed */
	char *base_url;    /* owned */
	int64_t timeout_ms;
	pthread_t thread;
	int answered_fd; /* an eventfd: the thread has put something into answered */
	struct watch *watch;

	pthread_mutex_t
		lock;        /* guards what follows; the thread never calls back while holding it */
	pthread_cond_t work; /* queued is not empty, or ending is set */
	struct calls queued, answered;
	bool ending;

	/* The thread's own. */
	unsigned failures; /* in a row */
	int64_t tripped_until_ms;
};

static void calls_clear(struct calls *calls)
{
	*calls = (struct calls){.last = NULL};
	calls->last = &calls->first;
}

static void calls_add(struct calls *calls, struct call *call)
{
	call->following = NULL;
	*calls->last = call;
	calls->last = &call->following;
	calls->count++;
}

static struct call *calls_take(struct calls *calls)
{
	struct call *call = calls->first;

	if (!call)
		return NULL;
	calls->first = call->following;
	if (!calls->first)
		calls->last = &calls->first;
	calls->count--;
	return call;
}

static void call_free(struct call *call)
{
	http_response_free(&call->response);
	free(call->why);
	free(call->url);
	free(call);
}

/* --- the thread --- */

static bool is_worth_another_try(const struct call *call)
{
	int status = call->response.status;

	return status == 0 || (status >= 502 && status <= 504);
}

static struct http_request request_of(const struct caller *caller, const struct call *call,
	struct http_header headers[3])
{
	size_t count = 0;

	headers[count++] = (struct http_header){"traceparent", call->parent};
	headers[count++] = (struct http_header){"X-Request-Id", call->request_id};
	if (call->state[0])
		headers[count++] = (struct http_header){"tracestate", call->state};
	return (struct http_request){.url = call->url,
		.headers = headers,
		.header_count = count,
		.connect_timeout_ms = caller->timeout_ms,
		.timeout_ms = caller->timeout_ms,
		.body_limit_bytes = BODY_LIMIT};
}

/* One attempt of all of batch, side by side. */
static void attempt(struct caller *caller, struct http_client *client, struct call **batch,
	size_t count)
{
	struct http_header headers[PARALLEL][3];
	struct http_request requests[PARALLEL] = {0};
	struct http_response responses[PARALLEL] = {0};
	struct error err = {0};

	for (size_t i = 0; i < count; i++)
		requests[i] = request_of(caller, batch[i], headers[i]);
	if (!http_perform_all(client, requests, responses, count, PARALLEL, &err))
		error_ignore(&err, "each response says it for itself");
	for (size_t i = 0; i < count; i++) {
		http_response_free(&batch[i]->response);
		batch[i]->response = responses[i];
		free(batch[i]->why);
		batch[i]->why =
			responses[i].status ? NULL : memory_copy_text(responses[i].error.message);
	}
}

static void make_calls(struct caller *caller, struct http_client *client, struct call **batch,
	size_t count)
{
	struct call *again[PARALLEL];

	for (int attempts = 0; attempts < ATTEMPTS && count > 0; attempts++) {
		size_t left = 0;

		if (attempts > 0)
			clock_sleep(&system_clock, PAUSE_MS);
		attempt(caller, client, batch, count);
		for (size_t i = 0; i < count; i++)
			if (is_worth_another_try(batch[i]))
				again[left++] = batch[i];
		caller->failures = left ? caller->failures + 1 : 0;
		batch = again;
		count = left;
	}
	if (caller->failures >= TRIP_AFTER)
		caller->tripped_until_ms = clock_elapsed(&system_clock) + TRIPPED_MS;
}

static void refuse_calls(struct call **batch, size_t count, const char *why)
{
	for (size_t i = 0; i < count; i++)
		batch[i]->why = memory_copy_text(why);
}

static void work_on(struct caller *caller, struct http_client *client, struct call **batch,
	size_t count)
{
	if (!client)
		refuse_calls(batch, count, "there is no HTTP client");
	else if (clock_elapsed(&system_clock) < caller->tripped_until_ms)
		refuse_calls(batch, count, "calls failed a moment ago");
	else
		make_calls(caller, client, batch, count);
}

/* Waits for work; the calls taken, 0 when the caller ends. */
static size_t take_work(struct caller *caller, struct call *batch[PARALLEL])
{
	size_t count = 0;

	pthread_mutex_lock(&caller->lock);
	while (!caller->ending && !caller->queued.first)
		pthread_cond_wait(&caller->work, &caller->lock);
	while (!caller->ending && count < PARALLEL && caller->queued.first)
		batch[count++] = calls_take(&caller->queued);
	pthread_mutex_unlock(&caller->lock);
	return count;
}

static void tell_loop(struct caller *caller)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full; then the loop is told already. */
	if (write(caller->answered_fd, &one, sizeof(one)) < 0)
		return;
}

static void *run_thread(void *context)
{
	struct caller *caller = context;
	struct call *batch[PARALLEL];
	struct http_client *client = NULL;
	struct error err = {0};
	size_t count;

	if (!http_client_new(&client, &err))
		error_ignore(&err, "each call says it");
	while ((count = take_work(caller, batch)) > 0) {
		work_on(caller, client, batch, count);
		pthread_mutex_lock(&caller->lock);
		for (size_t i = 0; i < count; i++)
			calls_add(&caller->answered, batch[i]);
		pthread_mutex_unlock(&caller->lock);
		tell_loop(caller);
	}
	http_client_free(&client);
	return NULL;
}

/* --- the loop's side --- */

static void deliver(void *context, unsigned bits)
{
	struct caller *caller = context;
	struct call *call;
	uint64_t count;

	(void)bits;
	if (read(caller->answered_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		pthread_mutex_lock(&caller->lock);
		call = calls_take(&caller->answered);
		pthread_mutex_unlock(&caller->lock);
		if (!call)
			break;
		call->done(call->context, &(struct call_answer){.status = call->response.status,
						  .body = buf_str(&call->response.body),
						  .why = call->why ? call->why : ""});
		call_free(call);
	}
}

/* Tells those who wait that no answer will come. */
static void drop_calls(struct calls *calls)
{
	struct call *call;

	while ((call = calls_take(calls)) != NULL) {
		call->done(call->context, &(struct call_answer){.why = "the service ends"});
		call_free(call);
	}
}

/* Signals are for the loop's thread; this one has them all blocked. */
static int start_thread(struct caller *caller)
{
	sigset_t all, before;
	int failure;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failure = pthread_create(&caller->thread, NULL, run_thread, caller);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failure;
}

bool caller_new(struct loop *loop, const struct caller_options *options, struct caller **out_caller,
	struct error *err)
{
	struct caller *caller;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "create an event descriptor");
	caller = memory_new(sizeof(*caller));
	caller->loop = loop;
	caller->base_url = memory_copy_text(options->base_url);
	caller->timeout_ms = options->timeout_ms;
	caller->answered_fd = fd;
	calls_clear(&caller->queued);
	calls_clear(&caller->answered);
	pthread_mutex_init(&caller->lock, NULL);
	pthread_cond_init(&caller->work, NULL);
	errno = start_thread(caller);
	if (errno) {
		error_raise_errno(err, "start a thread for calls");
		close(fd);
		free(caller->base_url);
		free(caller);
		return false;
	}
	caller->watch = loop_add_fd(loop, fd, LOOP_READ, deliver, caller);
	*out_caller = caller;
	return true;
}

void caller_free(struct caller **caller)
{
	struct caller *gone = *caller;

	*caller = NULL;
	if (!gone)
		return;
	pthread_mutex_lock(&gone->lock);
	gone->ending = true;
	pthread_cond_signal(&gone->work);
	pthread_mutex_unlock(&gone->lock);
	pthread_join(gone->thread, NULL);
	loop_remove(gone->loop, &gone->watch);
	drop_calls(&gone->queued);
	drop_calls(&gone->answered);
	pthread_mutex_destroy(&gone->lock);
	pthread_cond_destroy(&gone->work);
	close(gone->answered_fd);
	free(gone->base_url);
	free(gone);
}

void caller_get(struct caller *caller, const char *path, const struct trace *trace,
	void (*done)(void *context, const struct call_answer *answer), void *context)
{
	struct call *call = memory_new(sizeof(*call));

	call->url = memory_format("%s%s", caller->base_url, path);
	call->done = done;
	call->context = context;
	trace_child(trace, call->parent);
	memcpy(call->state, trace->state, sizeof(call->state));
	memcpy(call->request_id, trace->request_id, sizeof(call->request_id));
	pthread_mutex_lock(&caller->lock);
	if (caller->queued.count < QUEUE) {
		calls_add(&caller->queued, call);
		pthread_cond_signal(&caller->work);
	} else {
		call->why = memory_copy_text("too many calls wait already");
		calls_add(&caller->answered, call);
		tell_loop(caller);
	}
	pthread_mutex_unlock(&caller->lock);
}
