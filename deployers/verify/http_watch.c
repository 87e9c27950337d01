#include "deployers/verify/http_watch.h"

#include "base/http_client.h"
#include "base/memory.h"

#include <poll.h>
#include <stdlib.h>

enum { UNKNOWN_DELAY_MS = 250 };

struct http_probe *http_watch_add(struct http_watch *watch, const struct http_check *check,
	char *url, const char *host)
{
	watch->probes =
		memory_resize(watch->probes, (watch->count + 1) * sizeof(struct http_probe));
	watch->probes[watch->count] = (struct http_probe){.check = check, .url = url, .host = host};
	return &watch->probes[watch->count++];
}

void http_watch_free(struct http_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++) {
		free(watch->probes[i].url);
		free(watch->probes[i].cause);
	}
	free(watch->probes);
	*watch = (struct http_watch){0};
}

/* What an answer says does not matter, however long it is. */
static bool drop_body(void *context, const void *bytes, size_t size, struct error *err)
{
	(void)context, (void)bytes, (void)size, (void)err;
	return true;
}

/* The requests of one round, and whose they are. */
struct round {
	struct http_request *requests;
	struct http_response *responses;
	struct http_header *hosts;
	struct http_probe **probes;
	size_t count;
};

static void round_free(struct round *round)
{
	for (size_t i = 0; i < round->count; i++)
		http_response_free(&round->responses[i]);
	free(round->requests);
	free(round->responses);
	free(round->hosts);
	free(round->probes);
}

static bool is_due(const struct http_probe *probe, int64_t now_ms)
{
	return probe->step == HTTP_CHECK_GO_ON && probe->due_ms <= now_ms;
}

static void round_start(struct round *round, const struct http_watch *watch)
{
	int64_t now_ms = clock_elapsed(watch->clock);

	round->requests = memory_new_array(watch->count, sizeof(*round->requests));
	round->responses = memory_new_array(watch->count, sizeof(*round->responses));
	round->hosts = memory_new_array(watch->count, sizeof(*round->hosts));
	round->probes = memory_new_array(watch->count, sizeof(*round->probes));
	for (size_t i = 0; i < watch->count; i++) {
		struct http_probe *probe = &watch->probes[i];
		size_t at = round->count;

		if (probe->watcher || !is_due(probe, now_ms))
			continue;
		round->probes[at] = probe;
		round->hosts[at] = (struct http_header){"Host", probe->host};
		round->requests[at] = (struct http_request){.url = probe->url,
			.headers = &round->hosts[at],
			.header_count = probe->host ? 1 : 0,
			.connect_timeout_ms = HTTP_WATCH_ANSWER_MS,
			.timeout_ms = HTTP_WATCH_ANSWER_MS,
			.direct = probe->direct,
			.on_body = drop_body};
		round->count++;
	}
}

static void judge(struct http_probe *probe, const struct http_response *response, int64_t now_ms)
{
	bool answered = response->error.kind == ERROR_NONE;

	probe->step = http_check_decide(probe->check, &probe->state, now_ms,
		answered ? response->status : 0);
	probe->due_ms = now_ms + http_check_delay_ms(probe->check, &probe->state, now_ms);
	if (probe->step == HTTP_CHECK_FAILED)
		probe->cause = http_check_cause(probe->check, &probe->state, probe->url,
			response->error.message);
}

static void judge_seen(struct http_probe *probe, struct http_seen *seen, int64_t now_ms)
{
	int64_t delay_ms = UNKNOWN_DELAY_MS;

	if (seen->known) {
		probe->known_ms = now_ms;
		probe->step =
			http_check_decide_right(probe->check, &probe->state, now_ms, seen->right);
		delay_ms = http_check_delay_ms(probe->check, &probe->state, now_ms);
	} else if (now_ms - probe->known_ms >= HTTP_WATCH_UNKNOWN_MS) {
		probe->step = HTTP_CHECK_FAILED;
	}
	probe->due_ms = now_ms +
			(delay_ms > probe->watcher->least_ms ? delay_ms : probe->watcher->least_ms);
	if (probe->step == HTTP_CHECK_FAILED) {
		probe->cause = seen->trouble;
		seen->trouble = NULL;
	}
}

static bool may_pass(const struct error *err)
{
	return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMED_OUT ||
	       err->kind == ERROR_PROTOCOL;
}

/* Lets every watcher that is due look, once. */
static bool look(struct http_watch *watch, struct error *err)
{
	for (size_t i = 0; i < watch->count; i++) {
		struct http_probe *probe = &watch->probes[i];
		struct http_seen seen = {0};
		struct error why = {0};

		if (!probe->watcher || !is_due(probe, clock_elapsed(watch->clock)))
			continue;
		bool looked = probe->watcher->look(probe->watcher->context, &seen, &why);
		int64_t now_ms = clock_elapsed(watch->clock);

		if (!looked &&
			(!may_pass(&why) || now_ms - probe->known_ms >= HTTP_WATCH_UNKNOWN_MS)) {
			error_move(err, &why);
			return false;
		}
		if (!looked)
			error_ignore(&why, "it is looked again, for a while");
		judge_seen(probe, &seen, now_ms);
		free(seen.trouble);
	}
	return true;
}

/* Asks every address that is due, once. */
static bool ask(struct http_watch *watch, struct http_client *client, struct error *err)
{
	scoped(round_free) struct round round = {0};
	struct error why = {0};
	bool silent = false;

	round_start(&round, watch);
	if (!http_perform_all(client, round.requests, round.responses, round.count, round.count,
		    &why)) {
		for (size_t i = 0; i < round.count; i++)
			silent = silent || round.responses[i].error.kind != ERROR_NONE;
		if (!silent) {
			error_move(err, &why);
			return false;
		}
		error_ignore(&why, "no answer is judged like a wrong one");
	}
	int64_t now_ms = clock_elapsed(watch->clock);

	for (size_t i = 0; i < round.count; i++)
		judge(round.probes[i], &round.responses[i], now_ms);
	return true;
}

/* True: every one has passed or one has failed. */
static bool is_decided(const struct http_watch *watch)
{
	bool waiting = false;

	for (size_t i = 0; i < watch->count; i++) {
		if (watch->probes[i].step == HTTP_CHECK_FAILED)
			return true;
		waiting = waiting || watch->probes[i].step == HTTP_CHECK_GO_ON;
	}
	return !waiting;
}

static int64_t next_delay_ms(const struct http_watch *watch)
{
	int64_t now_ms = clock_elapsed(watch->clock), due_ms = now_ms + HTTP_CHECK_DOUBT_MS;

	for (size_t i = 0; i < watch->count; i++)
		if (watch->probes[i].step == HTTP_CHECK_GO_ON && watch->probes[i].due_ms < due_ms)
			due_ms = watch->probes[i].due_ms;
	return due_ms > now_ms ? due_ms - now_ms : 0;
}

static bool pause_asking(const struct http_watch *watch, struct error *err)
{
	int64_t delay_ms = next_delay_ms(watch);
	struct pollfd cancel = {.fd = watch->cancel_fd, .events = POLLIN};

	if (watch->cancel_fd <= 0) {
		clock_sleep(watch->clock, delay_ms);
		return true;
	}
	return poll(&cancel, 1, (int)delay_ms) <= 0 ||
	       error_raise(err, ERROR_CANCELLED, "told to stop before the checks had ended");
}

bool http_watch_run(struct http_watch *watch, struct error *err)
{
	scoped(http_client_free) struct http_client *client = NULL;

	if (!http_client_new(&client, err))
		return false;
	for (size_t i = 0; i < watch->count; i++)
		watch->probes[i].state.started_ms = watch->probes[i].due_ms =
			watch->probes[i].known_ms = clock_elapsed(watch->clock);
	while (ask(watch, client, err) && look(watch, err)) {
		if (is_decided(watch))
			return true;
		if (!pause_asking(watch, err))
			return false;
	}
	return false;
}
