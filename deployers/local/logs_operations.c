#include "deployers/local/input.h"
#include "deployers/local/log_file.h"
#include "deployers/local/log_filter.h"
#include "deployers/local/logs.h"
#include "deployers/local/store.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PAGE = 50, EVENTS_MAX = 10000, ANSWER_BYTES = 1 << 20, DAY_MS = 24 * 3600 * 1000 };

static const char invalid[] = "InvalidParameterException";
static const char not_found[] = "ResourceNotFoundException";

static bool refuse_logs(struct refusal *refusal, struct error *err)
{
	const char *code = err->kind == ERROR_INVALID     ? invalid
			   : err->kind == ERROR_NOT_FOUND ? not_found
			   : err->kind == ERROR_CONFLICT  ? "ResourceAlreadyExistsException"
							  : NULL;

	if (!code)
		return refuse_error(refusal, err);
	refuse(refusal, 400, code, "%s", err->message);
	error_free(err);
	return false;
}

/* The group by name or by ARN, which must exist; NULL: refused. */
static const char *group_of(struct cloud *cloud, const struct json *input, struct refusal *refusal)
{
	const char *identifier = json_get_text(input, "logGroupIdentifier", NULL);
	const char *mark = identifier ? strstr(identifier, ":log-group:") : NULL;
	const char *group = mark         ? mark + strlen(":log-group:")
			    : identifier ? identifier
					 : input_text(input, "logGroupName", invalid, refusal);

	if (!group || store_get(cloud->store, "logs.group", group))
		return group;
	refuse(refusal, 400, not_found, "The specified log group does not exist.");
	return NULL;
}

static bool create_log_group(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = input_text(input, "logGroupName", invalid, refusal);
	struct error err = {0};

	(void)out_output;
	if (!group)
		return false;
	return logs_make_group(cloud->logs, group, &err) || refuse_logs(refusal, &err);
}

static bool delete_log_group(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	struct error err = {0};

	(void)out_output;
	if (!group)
		return false;
	return logs_remove_group(cloud->logs, group, &err) || refuse_logs(refusal, &err);
}

static bool create_log_stream(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	const char *stream = group ? input_text(input, "logStreamName", invalid, refusal) : NULL;
	scoped(text_free) char *path = NULL, *old = NULL;
	struct error err = {0};

	(void)out_output;
	if (!stream)
		return false;
	old = logs_find_stream(cloud->logs, group, stream);
	if (old)
		return refuse(refusal, 400, "ResourceAlreadyExistsException",
			"The specified log stream already exists");
	return logs_stream_file(cloud->logs, group, stream, false, &path, &err) ||
	       refuse_logs(refusal, &err);
}

struct group_list {
	const char *prefix, *pattern;
	struct json *all;
};

static bool add_group(void *context, const char *id, const struct json *group)
{
	struct group_list *list = context;

	if (text_starts_with(id, list->prefix) && strstr(id, list->pattern))
		json_append(list->all, store_public(group));
	return true;
}

static bool describe_log_groups(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	struct group_list list = {json_get_text(input, "logGroupNamePrefix", ""),
		json_get_text(input, "logGroupNamePattern", ""), NULL};
	size_t from;
	int64_t limit;

	if (!input_page(input, "nextToken", invalid, &from, refusal) ||
		!input_int(input, "limit", 1, PAGE, PAGE, invalid, &limit, refusal))
		return false;
	list.all = json_array_new();
	store_each(cloud->store, "logs.group", add_group, &list);
	*out_output = json_object_new();
	output_page(*out_output, "logGroups", list.all, from, (size_t)limit, "nextToken");
	return true;
}

/* When the file was made; the file system knows. */
static int64_t made_ms(const char *path)
{
	struct statx status = {0};

	if (statx(AT_FDCWD, path, 0, STATX_BTIME | STATX_MTIME, &status) < 0)
		return 0;
	struct statx_timestamp time =
		status.stx_mask & STATX_BTIME ? status.stx_btime : status.stx_mtime;

	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static struct json *shown_stream(struct cloud *cloud, const char *group, const char *stream)
{
	scoped(text_free) char *path = logs_find_stream(cloud->logs, group, stream);
	scoped(text_free) char *arn =
		cloud_arn(cloud, "logs", "log-group:%s:log-stream:%s", group, stream);
	scoped(log_file_close) struct log_file file = {0};
	struct json *shown = json_object_of("logStreamName", json_text_new(stream), "arn",
		json_text_new(arn), "storedBytes", json_int_new(0), NULL);
	struct log_event event;
	struct error err = {0};

	if (!path || !log_file_open(path, &file, &err)) {
		error_ignore(&err, "the stream was removed meanwhile");
		return shown;
	}
	json_set_int(shown, "creationTime", made_ms(path));
	if (log_file_at(&file, 0, &event))
		json_set_int(shown, "firstEventTimestamp", event.time_ms);
	if (log_file_before(&file, file.size, &event)) {
		json_set_int(shown, "lastEventTimestamp", event.time_ms);
		json_set_int(shown, "lastIngestionTime", file.changed_ms);
		json_set_text(shown, "uploadSequenceToken", "1");
	}
	return shown;
}

struct by_time {
	int64_t last_ms;
	struct json *stream; /* borrowed */
};

static int compare_last(const void *a, const void *b)
{
	const struct by_time *x = a, *y = b;

	return x->last_ms < y->last_ms ? -1 : x->last_ms > y->last_ms;
}

/* Orders streams by their last event, for orderBy LastEventTime. */
static struct json *ordered_by_time(struct json *streams)
{
	size_t count = json_count(streams);
	struct by_time *order = memory_new_array(count, sizeof(*order));
	struct json *sorted = json_array_new();

	for (size_t i = 0; i < count; i++)
		order[i] =
			(struct by_time){json_get_int(json_at(streams, i), "lastEventTimestamp", 0),
				json_at(streams, i)};
	qsort(order, count, sizeof(*order), compare_last);
	for (size_t i = 0; i < count; i++)
		json_append(sorted, json_keep(order[i].stream));
	free(order);
	json_free(&streams);
	return sorted;
}

static struct json *reversed(struct json *array)
{
	struct json *turned = json_array_new();

	for (size_t i = json_count(array); i > 0; i--)
		json_append(turned, json_keep(json_at(array, i - 1)));
	json_free(&array);
	return turned;
}

static bool describe_log_streams(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	const char *prefix = json_get_text(input, "logStreamNamePrefix", "");
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};
	size_t from;
	int64_t limit;

	if (!group || !input_page(input, "nextToken", invalid, &from, refusal) ||
		!input_int(input, "limit", 1, PAGE, PAGE, invalid, &limit, refusal))
		return false;
	if (!logs_list_streams(cloud->logs, group, &names, &err))
		return refuse_logs(refusal, &err);
	struct json *all = json_array_new();

	for (size_t i = 0; i < names.count; i++)
		if (text_starts_with(names.items[i], prefix))
			json_append(all, shown_stream(cloud, group, names.items[i]));
	if (text_equal(json_get_text(input, "orderBy", ""), "LastEventTime"))
		all = ordered_by_time(all);
	if (json_get_bool(input, "descending", false))
		all = reversed(all);
	*out_output = json_object_new();
	output_page(*out_output, "logStreams", all, from, (size_t)limit, "nextToken");
	return true;
}

static bool put_log_events(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	const char *stream = group ? input_text(input, "logStreamName", invalid, refusal) : NULL;
	const struct json *events = json_get(input, "logEvents");
	scoped(text_free) char *path = NULL;
	scoped(descriptor_close) int fd = -1;
	scoped(buf_free) struct buf lines = {0};
	struct error err = {0};
	int64_t earlier = 0;

	if (!stream)
		return false;
	if (!(path = logs_find_stream(cloud->logs, group, stream)))
		return refuse(refusal, 400, not_found, "The specified log stream does not exist.");
	if (!json_is_array(events) || json_count(events) < 1 || json_count(events) > EVENTS_MAX)
		return refuse(refusal, 400, invalid, "logEvents must have 1 to %d items",
			EVENTS_MAX);
	for (size_t i = 0; i < json_count(events); i++) {
		const struct json *event = json_at(events, i), *text = json_get(event, "message");
		int64_t time_ms = json_get_int(event, "timestamp", -1);

		if (time_ms < 0 || !json_is_text(text))
			return refuse(refusal, 400, invalid,
				"logEvents.%zu needs timestamp and message", i + 1);
		if (time_ms < earlier)
			return refuse(refusal, 400, invalid,
				"Log events in a single PutLogEvents request must be in "
				"chronological order.");
		earlier = time_ms;
		logs_format_line(time_ms, json_str(text), &lines);
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0) {
		error_raise_errno(&err, "open log stream \"%s\"", path);
		return refuse_error(refusal, &err);
	}
	if (!descriptor_write_all(fd, lines.data, lines.size, path, &err))
		return refuse_error(refusal, &err);
	*out_output = json_object_of("nextSequenceToken", json_text_new("1"), NULL);
	return true;
}

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
		return refuse(refusal, 400, invalid, "The specified nextToken is invalid.");
	*out_forward = token.data[0] == 'f';
	digits = (struct str){token.data + 2, token.size - 2};
	if (!str_to_int(digits, &offset) || offset < 0 || (size_t)offset > file->size)
		return refuse(refusal, 400, invalid, "The specified nextToken is invalid.");
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
	return forward ? events : reversed(events);
}

static bool get_log_events(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	const char *stream = group ? input_text(input, "logStreamName", invalid, refusal) : NULL;
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
		return refuse(refusal, 400, not_found, "The specified log stream does not exist.");
	if (!log_file_open(path, &file, &err))
		return refuse_error(refusal, &err);
	if (!read_token(input, &file, &forward, &begin, refusal) ||
		!input_int(input, "limit", 1, EVENTS_MAX, EVENTS_MAX, invalid, &limit, refusal))
		return false;
	behind = begin;
	window = window_of(cloud, group, input);
	struct json *events = read_events(&file, forward, &begin, &behind, &window, limit);

	*out_output = json_object_of("events", events, "nextForwardToken",
		json_text_format("f/%020zu", behind), "nextBackwardToken",
		json_text_format("b/%020zu", begin), NULL);
	return true;
}

static bool put_retention_policy(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	struct error err = {0};
	int64_t days;

	(void)out_output;
	if (!group || !input_int(input, "retentionInDays", 1, 3653, 0, invalid, &days, refusal))
		return false;
	if (!days)
		return refuse(refusal, 400, invalid, "retentionInDays must not be null");
	struct json *document = json_copy(store_get(cloud->store, "logs.group", group));

	json_set_int(document, "retentionInDays", days);
	return store_put(cloud->store, "logs.group", group, document, &err) ||
	       refuse_error(refusal, &err);
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

static bool filter_log_events(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = group_of(cloud, input, refusal);
	scoped(log_filter_free) struct log_filter filter = {0};
	scoped(strings_free) struct strings streams = {0};
	struct found_events found = {0};
	struct window window;
	struct error err = {0};
	size_t from, next;
	int64_t limit;

	if (!group || !input_page(input, "nextToken", invalid, &from, refusal) ||
		!input_int(input, "limit", 1, EVENTS_MAX, EVENTS_MAX, invalid, &limit, refusal))
		return false;
	if (!log_filter_parse(json_str(json_get(input, "filterPattern")), &filter, &err) ||
		!logs_list_streams(cloud->logs, group, &streams, &err))
		return refuse_logs(refusal, &err);
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

static const struct operation rows[] = {
	{"CreateLogGroup", create_log_group},
	{"CreateLogStream", create_log_stream},
	{"DeleteLogGroup", delete_log_group},
	{"DescribeLogGroups", describe_log_groups},
	{"DescribeLogStreams", describe_log_streams},
	{"FilterLogEvents", filter_log_events},
	{"GetLogEvents", get_log_events},
	{"PutLogEvents", put_log_events},
	{"PutRetentionPolicy", put_retention_policy},
	{NULL},
};

const struct operation_table logs_operations = {
	.service = "logs",
	.target_prefix = "Logs_20140328",
	.rows = rows,
};
