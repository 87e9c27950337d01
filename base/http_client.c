#include "base/http_client.h"

#include "base/http_legs.h"
#include "base/memory.h"

#include <stdlib.h>
#include <strings.h>

enum { PARALLEL = 8, IDLE_CONNECTIONS = 16 };

struct batch {
	struct http_client *client;
	struct transfer *transfers; /* owned */
	size_t count;
	size_t parallel;
};

static bool is_running(const struct transfer *transfer)
{
	return transfer->begun && !transfer->done;
}

static size_t running(const struct batch *batch)
{
	size_t sum = 0;

	for (size_t i = 0; i < batch->count; i++)
		sum += is_running(&batch->transfers[i]) && !batch->transfers[i].request->relay_from;
	return sum;
}

static bool all_done(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (!batch->transfers[i].done)
			return false;
	return true;
}

static void start(struct batch *batch, struct transfer *transfer)
{
	struct error err = {0};
	const struct http_relay *from = transfer->request->relay_from;

	transfer->begun = true;
	transfer->started_ms = monotonic_ms();
	transfer->url = memory_copy_text(transfer->request->url);
	if (from && from->end == RELAY_BROKEN)
		error_raise(&err, ERROR_CONFLICT, "the body to be sent did not arrive");
	if (err.kind || !leg_start(batch->client, transfer, &err))
		leg_give_up(batch->client, transfer, &err);
}

/* Those that take from a relay begin when there is something to take. */
static void start_more(struct batch *batch)
{
	size_t free_places = batch->parallel - running(batch);

	for (size_t i = 0; i < batch->count; i++) {
		struct transfer *transfer = &batch->transfers[i];

		if (transfer->begun)
			continue;
		if (transfer->request->relay_from) {
			if (transfer_is_ready(transfer))
				start(batch, transfer);
		} else if (free_places > 0) {
			start(batch, transfer);
			free_places -= !transfer->done;
		}
	}
}

/* Those that waited long enough begin their next leg. Says whether others wait. */
static bool start_due(struct batch *batch)
{
	bool any = false;

	for (size_t i = 0; i < batch->count; i++) {
		struct transfer *transfer = &batch->transfers[i];
		struct error err = {0};

		if (!transfer->waiting)
			continue;
		if (transfer->due_ms > monotonic_ms()) {
			any = true;
			continue;
		}
		transfer->waiting = false;
		if (!leg_start(batch->client, transfer, &err))
			leg_give_up(batch->client, transfer, &err);
	}
	return any;
}

/* Those whose relay was full or empty and is not any more go on. Says whether there are any. */
static bool go_on(struct batch *batch)
{
	bool any = false;

	for (size_t i = 0; i < batch->count; i++) {
		struct transfer *transfer = &batch->transfers[i];
		bool waits = transfer->begun ? transfer->paused && !transfer->done
					     : transfer->request->relay_from != NULL;

		if (!waits || !transfer_is_ready(transfer))
			continue;
		any = true;
		if (!transfer->begun)
			continue; /* start_more() will */
		transfer->paused = false;
		transfer->active_ms = monotonic_ms();
		(void)curl.easy_pause(transfer->easy, CURLPAUSE_CONT);
	}
	return any;
}

static void finish_some(struct batch *batch)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl.multi_info_read(batch->client->multi, &left))) {
		struct transfer *transfer = NULL;
		CURLcode code = message->data.result;

		curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (message->msg != CURLMSG_DONE || !transfer)
			continue;
		leg_finished(batch->client, transfer, code);
	}
}

static bool wait_for_more(struct batch *batch, struct error *err)
{
	int64_t now = monotonic_ms(), timeout = 1000;

	for (size_t i = 0; i < batch->count; i++) {
		if (!is_running(&batch->transfers[i]))
			continue;
		int64_t left = leg_check_stall(batch->client, &batch->transfers[i], now);

		timeout = left < timeout ? left : timeout;
	}
	CURLMcode code = curl.multi_poll(batch->client->multi, NULL, 0, (int)timeout, NULL);

	return code == CURLM_OK ||
	       error_raise(err, ERROR_SYSTEM, "libcurl: %s", curl.multi_strerror(code));
}

static bool batch_run(struct batch *batch, struct error *err)
{
	int active;

	for (;;) {
		CURLMcode code;

		bool waits = start_due(batch);
		start_more(batch);
		code = curl.multi_perform(batch->client->multi, &active);
		if (code != CURLM_OK)
			return error_raise(err, ERROR_SYSTEM, "libcurl: %s",
				curl.multi_strerror(code));
		finish_some(batch);
		if (all_done(batch))
			return true;
		/* What began just now (a redirect, the next request) is driven before waiting. */
		if ((active > 0 || waits) && !go_on(batch) && !wait_for_more(batch, err))
			return false;
	}
}

static void batch_free(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		leg_end(batch->client, &batch->transfers[i]);
		free(batch->transfers[i].url);
		error_free(&batch->transfers[i].failure);
	}
	free(batch->transfers);
}

static bool first_failure(const struct http_response *responses, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct error *from = &responses[i].error;

		if (from->kind == ERROR_NONE)
			continue;
		error_raise_at(err, from->kind, from->file, from->line, "%s", from->message);
		if (err)
			err->system_errno = from->system_errno;
		if (from->next)
			error_next(err, "%s", from->next);
		return false;
	}
	return true;
}

bool http_perform_all(struct http_client *client, const struct http_request *requests,
	struct http_response *out_responses, size_t count, size_t parallel, struct error *err)
{
	scoped(batch_free) struct batch batch = {
		.client = client,
		.transfers = memory_new_array(count, sizeof(struct transfer)),
		.count = count,
		.parallel = parallel ? parallel : PARALLEL,
	};

	for (size_t i = 0; i < count; i++) {
		out_responses[i] = (struct http_response){0};
		batch.transfers[i].request = &requests[i];
		batch.transfers[i].response = &out_responses[i];
	}
	return batch_run(&batch, err) && first_failure(out_responses, count, err);
}

bool http_perform(struct http_client *client, const struct http_request *request,
	struct http_response *out_response, struct error *err)
{
	return http_perform_all(client, request, out_response, 1, 1, err);
}

bool http_client_new(struct http_client **out_client, struct error *err)
{
	if (!curl_library_load(err))
		return false;
	CURLM *multi = curl.multi_init();

	if (!multi)
		return error_raise(err, ERROR_SYSTEM, "libcurl has no memory for a client");
	(void)curl.multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
	*out_client = memory_new(sizeof(**out_client));
	(*out_client)->multi = multi;
	return true;
}

void http_client_free(struct http_client **client)
{
	if (!*client)
		return;
	(void)curl.multi_cleanup((*client)->multi);
	tls_sessions_free(&(*client)->sessions);
	free(*client);
	*client = NULL;
}

void http_client_keep_sessions(struct http_client *client, const char *folder)
{
	free(client->sessions.folder);
	client->sessions.folder = memory_copy_text(folder);
}

const char *http_response_header(const struct http_response *response, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < response->headers.count; i++) {
		const char *line = response->headers.items[i];

		if (strncasecmp(line, name, size) == 0 && line[size] == ':')
			return line + size + 1 + strspn(line + size + 1, " \t");
	}
	return NULL;
}

void http_response_free(struct http_response *response)
{
	strings_free(&response->headers);
	buf_free(&response->body);
	text_free(&response->elsewhere);
	error_free(&response->error);
	*response = (struct http_response){0};
}
