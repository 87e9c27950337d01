#include "deployers/local/input.h"
#include "deployers/local/log_file.h"
#include "deployers/local/logs.h"
#include "deployers/local/logs_internal.h"
#include "deployers/local/store.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PAGE = 50, EVENTS_MAX = 10000 };

bool logs_refuse(struct refusal *refusal, struct error *err)
{
	const char *code = err->kind == ERROR_INVALID     ? LOGS_INVALID
			   : err->kind == ERROR_NOT_FOUND ? LOGS_NOT_FOUND
			   : err->kind == ERROR_CONFLICT  ? "ResourceAlreadyExistsException"
							  : NULL;

	if (!code)
		return refuse_error(refusal, err);
	refuse(refusal, 400, code, "%s", err->message);
	error_free(err);
	return false;
}

const char *logs_group_of(struct cloud *cloud, const struct json *input, struct refusal *refusal)
{
	const char *identifier = json_get_text(input, "logGroupIdentifier", NULL);
	const char *mark = identifier ? strstr(identifier, ":log-group:") : NULL;
	const char *group = mark         ? mark + strlen(":log-group:")
			    : identifier ? identifier
					 : input_text(input, "logGroupName", LOGS_INVALID, refusal);

	if (!group || store_get(cloud->store, "logs.group", group))
		return group;
	refuse(refusal, 400, LOGS_NOT_FOUND, "The specified log group does not exist.");
	return NULL;
}

struct json *logs_reversed(struct json *array)
{
	struct json *turned = json_array_new();

	for (size_t i = json_count(array); i > 0; i--)
		json_append(turned, json_keep(json_at(array, i - 1)));
	json_free(&array);
	return turned;
}

static bool create_log_group(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = input_text(input, "logGroupName", LOGS_INVALID, refusal);
	struct error err = {0};

	(void)out_output;
	if (!group)
		return false;
	return logs_make_group(cloud->logs, group, &err) || logs_refuse(refusal, &err);
}

static bool delete_log_group(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	struct error err = {0};

	(void)out_output;
	if (!group)
		return false;
	return logs_remove_group(cloud->logs, group, &err) || logs_refuse(refusal, &err);
}

static bool create_log_stream(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	const char *stream =
		group ? input_text(input, "logStreamName", LOGS_INVALID, refusal) : NULL;
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
	       logs_refuse(refusal, &err);
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

	if (!input_page(input, "nextToken", LOGS_INVALID, &from, refusal) ||
		!input_int(input, "limit", 1, PAGE, PAGE, LOGS_INVALID, &limit, refusal))
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

static bool describe_log_streams(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	const char *prefix = json_get_text(input, "logStreamNamePrefix", "");
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};
	size_t from;
	int64_t limit;

	if (!group || !input_page(input, "nextToken", LOGS_INVALID, &from, refusal) ||
		!input_int(input, "limit", 1, PAGE, PAGE, LOGS_INVALID, &limit, refusal))
		return false;
	if (!logs_list_streams(cloud->logs, group, &names, &err))
		return logs_refuse(refusal, &err);
	struct json *all = json_array_new();

	for (size_t i = 0; i < names.count; i++)
		if (text_starts_with(names.items[i], prefix))
			json_append(all, shown_stream(cloud, group, names.items[i]));
	if (text_equal(json_get_text(input, "orderBy", ""), "LastEventTime"))
		all = ordered_by_time(all);
	if (json_get_bool(input, "descending", false))
		all = logs_reversed(all);
	*out_output = json_object_new();
	output_page(*out_output, "logStreams", all, from, (size_t)limit, "nextToken");
	return true;
}

static bool put_log_events(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	const char *stream =
		group ? input_text(input, "logStreamName", LOGS_INVALID, refusal) : NULL;
	const struct json *events = json_get(input, "logEvents");
	scoped(text_free) char *path = NULL;
	scoped(descriptor_close) int fd = -1;
	scoped(buf_free) struct buf lines = {0};
	struct error err = {0};
	int64_t earlier = 0;

	if (!stream)
		return false;
	if (!(path = logs_find_stream(cloud->logs, group, stream)))
		return refuse(refusal, 400, LOGS_NOT_FOUND,
			"The specified log stream does not exist.");
	if (!json_is_array(events) || json_count(events) < 1 || json_count(events) > EVENTS_MAX)
		return refuse(refusal, 400, LOGS_INVALID, "logEvents must have 1 to %d items",
			EVENTS_MAX);
	for (size_t i = 0; i < json_count(events); i++) {
		const struct json *event = json_at(events, i), *text = json_get(event, "message");
		int64_t time_ms = json_get_int(event, "timestamp", -1);

		if (time_ms < 0 || !json_is_text(text))
			return refuse(refusal, 400, LOGS_INVALID,
				"logEvents.%zu needs timestamp and message", i + 1);
		if (time_ms < earlier)
			return refuse(refusal, 400, LOGS_INVALID,
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

static bool put_retention_policy(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *group = logs_group_of(cloud, input, refusal);
	struct error err = {0};
	int64_t days;

	(void)out_output;
	if (!group ||
		!input_int(input, "retentionInDays", 1, 3653, 0, LOGS_INVALID, &days, refusal))
		return false;
	if (!days)
		return refuse(refusal, 400, LOGS_INVALID, "retentionInDays must not be null");
	struct json *document = json_copy(store_get(cloud->store, "logs.group", group));

	json_set_int(document, "retentionInDays", days);
	return store_put(cloud->store, "logs.group", group, document, &err) ||
	       refuse_error(refusal, &err);
}

static const struct operation rows[] = {
	{"CreateLogGroup", create_log_group},
	{"CreateLogStream", create_log_stream},
	{"DeleteLogGroup", delete_log_group},
	{"DescribeLogGroups", describe_log_groups},
	{"DescribeLogStreams", describe_log_streams},
	{"FilterLogEvents", logs_answer_filter_log_events},
	{"GetLogEvents", logs_answer_get_log_events},
	{"PutLogEvents", put_log_events},
	{"PutRetentionPolicy", put_retention_policy},
	{NULL},
};

const struct operation_table logs_operations = {
	.service = "logs",
	.target_prefix = "Logs_20140328",
	.rows = rows,
};
