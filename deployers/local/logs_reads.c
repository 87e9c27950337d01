#include "deployers/local/input.h"
#include "deployers/local/log_file.h"
#include "deployers/local/log_filter.h"
#include "deployers/local/logs.h"
#include "deployers/local/logs_internal.h"
#include "deployers/local/store.h"

#include "base/memory.h"

#include <stdlib.h>

enum { EVENTS_MAX = 10000, ANSWER_BYTES = 1 << 20, DAY_MS = 24 * 3600 * 1000 };

/* Which events are asked for; the group's retention hides what is older. */
struct window {
	int64_t from_ms, behind_ms;
};

static struct window window_of(struct cloud *cloud, const char *group, const struct json *input)
{
	const struct json *document = store_get(cloud->store, "logs.group", group);
	int64_t days = json_get_int(document, "retentionInDays", 0);
	struct window window = {json_get_int(input, "startTime", 0),
		json_get_int(input, "endTime", INT64_MAX)};
	int64_t kept_ms = days ? clock_now(cloud->clock) - days * DAY_MS : 0;

	if (window.from_ms < kept_ms)
		window.from_ms = kept_ms;
	return window;
}

static bool in_window(const struct window *window, const struct log_event *event)
{
	return event->time_ms >= window->from_ms && event->time_ms < window->behind_ms;
}

static struct json *shown_event(const struct log_event *event)
{
	scoped(buf_free) struct buf text = {0};

	log_event_text(event, &text);
	return json_object_of("timestamp", json_int_new(event->time_ms), "message",
		json_str_new(buf_str(&text)), "ingestionTime", json_int_new(event->time_ms), NULL);
}

/*
 * Tokens are places in the file: "f/<offset>" goes on behind it, "b/<offset>" before it. At the end
 * the forward token is the one that was given, as AWS has it.
 */
static bool read_token(const struct json *input, const struct log_file *file, bool *out_forward,
	size_t *out_offset, struct refusal *refusal)
{
	struct str token = json_str(json_get(input, "nextToken")), digits = token;
	int64_t offset;

	*out_forward = json_get_bool(input, "startFromHead", false);
	*out_offset = *out_forward ? 0 : file->size;
	if (!token.size)
		return true;
	if (token.size < 3 || (token.data[0] != 'f' && token.data[0] != 'b') ||
		token.data[1] != '/')
		return refuse(refusal, 400, LOGS_INVALID, "The specified nextToken is invalid.");
	*out_forward = token.data[0] == 'f';
	digits = (struct str){token.data + 2, token.size - 2};
	if (!str_to_int(digits, &offset) || offset < 0 || (size_t)offset > file->size)
		return refuse(refusal, 400, LOGS_INVALID, "The specified nextToken is invalid.");
	*out_offset = (size_t)offset;
	return true;
}

static struct json *read_events(const struct log_file *file, bool forward, size_t *begin,
	size_t *behind, const struct window *window, int64_t limit)
{
	struct json *events = json_array_new();
	struct log_event event;
	size_t bytes = 0;

	while ((int64_t)json_count(events) < limit && bytes < ANSWER_BYTES &&
		(forward ? log_file_at(file, *behind, &event)
			 : log_file_before(file, *begin, &event))) {
		if (forward)
			*behind = event.behind;
		else
			*begin = event.begin;
		if (!in_window(window, &event))
			continue;
		json_append(events, shown_event(&event));
		bytes += event.text.size;
	}
	return forward ? events : logs_reversed(events);
}

bool logs_answer_get_log_events(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	const char *stream =
		group ? input_text(input, "logStreamName", LOGS_INVALID, refusal) : NULL;
	scoped(text_free) char *path = stream ? logs_find_stream(cloud->logs, group, stream) : NULL;
	scoped(log_file_close) struct log_file file = {0};
	struct error err = {0};
	struct window window;
	int64_t limit;
	size_t begin, behind;
	bool forward;

	if (!stream)
		return false;
	if (!path)
		return refuse(refusal, 400, LOGS_NOT_FOUND,
			"The specified log stream does not exist.");
	if (!log_file_open(path, &file, &err))
		return refuse_error(refusal, &err);
	if (!read_token(input, &file, &forward, &begin, refusal) ||
		!input_int(input, "limit", 1, EVENTS_MAX, EVENTS_MAX, LOGS_INVALID, &limit,
			refusal))
		return false;
	behind = begin;
	window = window_of(cloud, group, input);
	struct json *events = read_events(&file, forward, &begin, &behind, &window, limit);

	*out_output = json_object_of("events", events, "nextForwardToken",
		json_text_format("f/%020zu", behind), "nextBackwardToken",
		json_text_format("b/%020zu", begin), NULL);
	return true;
}

/* One stream's part of FilterLogEvents. */
struct found_event {
	int64_t time_ms;
	size_t order; /* in which it was found, for events of the same time */
	const char *stream;
	struct log_event event;
};

struct found_events {
	struct found_event *items; /* owned */
	size_t count, capacity;
};

static int compare_found(const void *a, const void *b)
{
	const struct found_event *x = a, *y = b;

	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void find_in(const struct log_file *file, const char *stream, const struct window *window,
	const struct log_filter *filter, struct found_events *found)
{
	struct log_event event;

	for (size_t at = 0; log_file_at(file, at, &event); at = event.behind) {
		if (!in_window(window, &event) || !log_filter_matches(filter, event.text))
			continue;
		if (found->count == found->capacity) {
			found->capacity = found->capacity ? found->capacity * 2 : 256;
			found->items = memory_resize(found->items,
				found->capacity * sizeof(*found->items));
		}
		found->items[found->count] =
			(struct found_event){event.time_ms, found->count, stream, event};
		found->count++;
	}
}

static struct json *filtered_page(const struct found_events *found, size_t from, size_t limit,
	size_t *out_next)
{
	struct json *events = json_array_new();
	size_t bytes = 0, i;

	for (i = from; i < found->count && i - from < limit && bytes < ANSWER_BYTES; i++) {
		struct json *shown = shown_event(&found->items[i].event);

		json_set_text(shown, "logStreamName", found->items[i].stream);
		json_set(shown, "eventId",
			json_text_format("%s/%020zu", found->items[i].stream,
				found->items[i].event.begin));
		json_append(events, shown);
		bytes += found->items[i].event.text.size;
	}
	*out_next = i;
	return events;
}

static bool wanted_stream(const struct json *input, const char *stream)
{
	const struct json *names = json_get(input, "logStreamNames");

	for (size_t i = 0; i < json_count(names); i++)
		if (text_equal(json_text(json_at(names, i), ""), stream))
			return true;
	return !json_count(names) &&
	       text_starts_with(stream, json_get_text(input, "logStreamNamePrefix", ""));
}

bool logs_answer_filter_log_events(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	scoped(log_filter_free) struct log_filter filter = {0};
	scoped(strings_free) struct strings streams = {0};
	struct found_events found = {0};
	struct window window;
	struct error err = {0};
	size_t from, next;
	int64_t limit;

	if (!group || !input_page(input, "nextToken", LOGS_INVALID, &from, refusal) ||
		!input_int(input, "limit", 1, EVENTS_MAX, EVENTS_MAX, LOGS_INVALID, &limit,
			refusal))
		return false;
	if (!log_filter_parse(json_str(json_get(input, "filterPattern")), &filter, &err) ||
		!logs_list_streams(cloud->logs, group, &streams, &err))
		return logs_refuse(refusal, &err);
	window = window_of(cloud, group, input);
	struct log_file *files = memory_new_array(streams.count, sizeof(*files));

	for (size_t i = 0; i < streams.count; i++) {
		scoped(text_free) char *path = NULL;

		if (!wanted_stream(input, streams.items[i]))
			continue;
		path = logs_find_stream(cloud->logs, group, streams.items[i]);
		if (path && log_file_open(path, &files[i], &err))
			find_in(&files[i], streams.items[i], &window, &filter, &found);
		error_ignore(&err, "the stream was removed meanwhile");
	}
	if (found.count)
		qsort(found.items, found.count, sizeof(*found.items), compare_found);
	*out_output = json_object_of("events", filtered_page(&found, from, (size_t)limit, &next),
		"searchedLogStreams", json_array_new(), NULL);
	if (next < found.count)
		json_set(*out_output, "nextToken", json_text_format("%zu", next));
	for (size_t i = 0; i < streams.count; i++)
		log_file_close(&files[i]);
	free(files);
	free(found.items);
	return true;
}
