#include "deployers/local/logs.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAME_MAX_SIZE = 512, FILE_NAME_MAX = 250 };

static const char suffix[] = ".log";

struct logs {
	struct cloud *cloud; /* borrowed */
	char *folder;        /* owned: <state>/logs */
};

bool logs_open(struct cloud *cloud, struct logs **out_logs, struct error *err)
{
	scoped(logs_close) struct logs *logs = memory_new(sizeof(*logs));

	logs->cloud = cloud;
	logs->folder = path_join(cloud->state, "logs");
	if (!folder_make(logs->folder, 0700, err))
		return error_while(err, "opening the logs of the local cloud");
	*out_logs = logs;
	logs = NULL;
	return true;
}

void logs_close(struct logs **address)
{
	struct logs *logs = *address;

	if (!logs)
		return;
	free(logs->folder);
	free(logs);
	*address = NULL;
}

/* CloudWatch's own rule for both names is narrower; what matters here is that the name is text of
 * one line and, percent-encoded, a file name. */
static bool encode(const char *name, const char *what, struct buf *out, struct error *err)
{
	struct str text = str_of(name);
	bool plain = text.size > 0 && text.size <= NAME_MAX_SIZE;

	for (size_t i = 0; i < text.size; i++)
		plain = plain && (unsigned char)text.data[i] >= ' ' && text.data[i] != ':' &&
			text.data[i] != '*' && text.data[i] != 0x7f;
	if (plain) {
		percent_append(out, text, false);
		/* "." and ".." are unreserved characters only, but no names of files. */
		plain = out->size <= FILE_NAME_MAX - sizeof(suffix) && !text_equal(name, ".") &&
			!text_equal(name, "..");
	}
	if (!plain)
		return error_raise(err, ERROR_INVALID, "\"%.600s\" is no name for a log %s", name,
			what);
	return true;
}

static char *group_folder(struct logs *logs, const char *group, struct error *err)
{
	scoped(buf_free) struct buf name = {0};

	return encode(group, "group", &name, err) ? path_join(logs->folder, buf_text(&name)) : NULL;
}

static char *stream_file(struct logs *logs, const char *group, const char *stream,
	struct error *err)
{
	scoped(text_free) char *folder = group_folder(logs, group, err);
	scoped(buf_free) struct buf name = {0};

	if (!folder || !encode(stream, "stream", &name, err))
		return NULL;
	buf_append_text(&name, suffix);
	return path_join(folder, buf_text(&name));
}

static bool group_exists(struct logs *logs, const char *group)
{
	return store_get(logs->cloud->store, "logs.group", group) != NULL;
}

bool logs_make_group(struct logs *logs, const char *group, struct error *err)
{
	scoped(text_free) char *folder = group_folder(logs, group, err), *arn = NULL;

	if (!folder)
		return false;
	if (group_exists(logs, group))
		return error_raise(err, ERROR_CONFLICT,
			"The specified log group already exists: %s", group);
	if (!folder_make(folder, 0700, err))
		return error_while(err, "making log group \"%s\"", group);
	arn = cloud_arn(logs->cloud, "logs", "log-group:%s", group);
	return store_put(logs->cloud->store, "logs.group", group,
		json_object_of("logGroupName", json_text_new(group), "creationTime",
			json_int_new(clock_now(logs->cloud->clock)), "metricFilterCount",
			json_int_new(0), "arn", json_text_format("%s:*", arn), "storedBytes",
			json_int_new(0), "logGroupClass", json_text_new("STANDARD"), "logGroupArn",
			json_text_new(arn), NULL),
		err);
}

bool logs_remove_group(struct logs *logs, const char *group, struct error *err)
{
	scoped(text_free) char *folder = group_folder(logs, group, err);

	if (!folder)
		return false;
	if (!group_exists(logs, group))
		return error_raise(err, ERROR_NOT_FOUND,
			"The specified log group does not exist: %s", group);
	/* The store first: a folder left over is reused by the next group of this name. */
	return store_remove(logs->cloud->store, "logs.group", group, err) &&
	       folder_remove(folder, err);
}

bool logs_stream_file(struct logs *logs, const char *group, const char *stream, bool make_group,
	char **out_path, struct error *err)
{
	scoped(text_free) char *path = stream_file(logs, group, stream, err);
	scoped(descriptor_close) int fd = -1;

	if (!path)
		return false;
	if (!group_exists(logs, group)) {
		if (!make_group) {
			error_raise(err, ERROR_NOT_FOUND,
				"The specified log group does not exist: %s", group);
			return error_next(err, "create it, or set awslogs-create-group");
		}
		if (!logs_make_group(logs, group, err))
			return false;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_raise_errno(err, "make log stream \"%s\"", path);
	*out_path = path;
	path = NULL;
	return true;
}

char *logs_find_stream(struct logs *logs, const char *group, const char *stream)
{
	scoped(text_free) char *path = stream_file(logs, group, stream, NULL);
	char *found = NULL;

	if (path && group_exists(logs, group) && file_exists(path)) {
		found = path;
		path = NULL;
	}
	return found;
}

bool logs_list_streams(struct logs *logs, const char *group, struct strings *out_streams,
	struct error *err)
{
	scoped(text_free) char *folder = group_folder(logs, group, err);
	scoped(strings_free) struct strings names = {0};

	if (!folder || !folder_list(folder, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(buf_free) struct buf stream = {0};
		struct str name = str_of(names.items[i]);

		if (!str_ends_with(name, suffix))
			continue;
		name.size -= sizeof(suffix) - 1;
		if (percent_decode(name, false, &stream))
			strings_add(out_streams, buf_text(&stream));
	}
	strings_sort(out_streams);
	return true;
}

void logs_format_line(int64_t time_ms, struct str text, struct buf *out)
{
	size_t plain = 0;

	buf_printf(out, "%lld ", (long long)time_ms);
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] != '\n' && text.data[i] != '\\')
			continue;
		buf_append(out, text.data + plain, i - plain);
		buf_append_text(out, text.data[i] == '\n' ? "\\n" : "\\\\");
		plain = i + 1;
	}
	buf_append(out, text.data + plain, text.size - plain);
	buf_append_char(out, '\n');
}
