#include "buildspec/reports.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/pattern.h"
#include "buildspec/report_xml.h"
#include "buildspec/reports_tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 20000, COPIED_BYTES_MAX = 1 << 30 };

static void printf_like(2, 3) say(struct reporting *reporting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *line = memory_format_list(format, args);
	va_end(args);
	reporting->say(reporting->self, line);
}

/* A report that could not be read: said, noted, and no reason to fail. */
static void note_unread(struct reporting *reporting, const char *file, const char *why)
{
	struct report_group *group = reporting->group;

	say(reporting, "warning: report %s of %s: %s", file, group->name, why);
	if (group->unread_count == REPORTS_NAMED_MAX)
		return;
	group->unread =
		memory_resize(group->unread, (group->unread_count + 1) * sizeof(*group->unread));
	group->unread[group->unread_count++] =
		(struct report_unread){tally_mask(reporting, file), tally_mask(reporting, why)};
}

/* Copies what is left of a file, masked, until REPORT_XML_BYTES_MAX is passed. */
static bool copy_masked(struct reporting *reporting, int from, int to, const char *name,
	int64_t *out_bytes, bool *out_binary, struct error *err)
{
	char piece[32 * 1024];
	struct buf *safe = &reporting->scratch;

	for (;;) {
		ssize_t size = read(from, piece, sizeof(piece));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return error_raise_errno(err, "read \"%s\"", name);
		if (*out_bytes == 0 && size > 0)
			*out_binary = memchr(piece, '\0', (size_t)size) != NULL;
		*out_bytes += size;
		buf_clear(safe);
		masker_feed(&reporting->masker, (struct str){piece, (size_t)size}, safe);
		if (size == 0)
			masker_flush(&reporting->masker, safe);
		if (!descriptor_write_all(to, safe->data, safe->size, name, err))
			return false;
		if (size == 0 || *out_bytes > REPORT_XML_BYTES_MAX)
			return true;
	}
}

/* Opened, is it still a file of the source? What the build left running may have put a link there. */
static const char *check_source(const struct reporting *reporting, int fd)
{
	scoped(text_free) char *link = memory_format("/proc/self/fd/%d", fd);
	scoped(text_free) char *real = realpath(link, NULL);
	scoped(text_free) char *source = realpath(reporting->place.source, NULL);
	struct stat status;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return "it is no file";
	return real && source && path_is_below(real, source) ? NULL : "it leads out of the source";
}

/* Where a file's copy goes; its folders are made. */
static char *make_place(const struct reporting *reporting, const char *name, struct error *err)
{
	scoped(text_free) char *folder =
		path_join(reporting->place.output, reporting->group->folder);
	scoped(text_free) char *to = path_join(folder, name);
	scoped(text_free) char *parent = path_parent(to);
	char *place = to;

	if (!folder_make(parent, 0755, err))
		return NULL;
	to = NULL;
	return place;
}

/* *out_why: it was not copied because. */
static bool copy_one(struct reporting *reporting, const char *from, const char *to,
	bool *out_binary, const char **out_why, struct error *err)
{
	scoped(descriptor_close) int in = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	scoped(descriptor_close) int out = -1;
	int64_t size_bytes = 0;

	*out_why = in < 0 ? strerror(errno) : check_source(reporting, in);
	if (!*out_why && reporting->copied_bytes > COPIED_BYTES_MAX)
		*out_why = "the reports of this build are larger than 1 GiB";
	if (*out_why)
		return true;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return error_raise_errno(err, "create \"%s\"", to);
	if (!copy_masked(reporting, in, out, to, &size_bytes, out_binary, err))
		return error_while(err, "copying the report %s", from);
	reporting->copied_bytes += size_bytes;
	if (size_bytes > REPORT_XML_BYTES_MAX)
		*out_why = "it is larger than 256 MiB";
	return true;
}

static void note_file(struct reporting *reporting, const char *name)
{
	struct report_group *group = reporting->group;

	group->file_count++;
	if (group->files.count < REPORTS_NAMED_MAX)
		strings_add_owned(&group->files, tally_mask(reporting, name));
}

/* Reads the copy, in which nothing secret is any more. */
static bool read_one(struct reporting *reporting, const char *path, const char *name,
	struct error *err)
{
	const struct report_sink sink = {tally_case, tally_coverage, reporting};
	scoped(error_free) struct error wrong = {0};

	if (!report_read_file(reporting->group->format, path, &sink, &wrong))
		note_unread(reporting, name, wrong.message);
	if (!reporting->failure.kind)
		return true;
	error_move(err, &reporting->failure);
	return error_while(err, "writing %s", REPORTS_LINES);
}

static bool take_one(struct reporting *reporting, const struct report_spec *spec, const char *path,
	struct error *err)
{
	const char *name = spec->discard_paths ? path_base(path) : path, *why = NULL;
	scoped(text_free) char *from = path_join(reporting->place.source, path);
	scoped(text_free) char *to = make_place(reporting, name, err);
	bool binary = false;

	if (!to || !copy_one(reporting, from, to, &binary, &why, err))
		return false;
	if (why) {
		note_unread(reporting, name, why);
		return file_remove(to, err);
	}
	if (!read_one(reporting, to, name, err))
		return false;
	/* In UTF-16 nothing was found that had to be masked. */
	if (binary)
		return file_remove(to, err);
	note_file(reporting, name);
	return true;
}

/* The files of all patterns, each once, relative to the source. */
static bool find_files(struct reporting *reporting, const struct report_spec *spec, bool quiet,
	struct strings *out_paths, struct error *err)
{
	scoped(strings_free) struct strings bases = {0};

	if (!artifact_find_bases(&reporting->place, spec->base_directory, &bases, err))
		return false;
	for (size_t i = 0; i < spec->files.count; i++) {
		const char *pattern =
			artifact_relative_pattern(&reporting->place, spec->files.items[i]);
		size_t before = out_paths->count;

		for (size_t b = 0; b < bases.count; b++) {
			scoped(text_free) char *base =
				path_join(reporting->place.source, bases.items[b]);
			scoped(strings_free) struct strings found = {0};

			if (!pattern_find_files(base, pattern, &found, err))
				return false;
			for (size_t f = 0; f < found.count; f++) {
				scoped(text_free) char *path =
					path_join(bases.items[b], found.items[f]);

				strings_add_owned(out_paths, path_normalise(path));
			}
		}
		if (out_paths->count == before && !quiet)
			note_unread(reporting, spec->files.items[i], "no file matches");
	}
	strings_sort(out_paths);
	return true;
}

/* "unit" is a folder's name as it is; an ARN, "." and what else is none is percent-encoded. */
static char *folder_of(const struct reports *reports, const char *name)
{
	scoped(buf_free) struct buf folder = {0};

	buf_append_text(&folder, REPORTS_FOLDER "/");
	if (name[0] == '.') {
		buf_append_text(&folder, "%2E");
		name++;
	}
	percent_append(&folder, str_of(name), false);
	for (size_t i = 0; i < reports->count; i++)
		if (text_equal(reports->groups[i].folder, buf_text(&folder)))
			buf_append_char(&folder, '+');
	return buf_take(&folder);
}

static void begin_group(struct reporting *reporting, const struct report_spec *spec,
	const char *name)
{
	struct reports *reports = reporting->out;
	scoped(text_free) char *safe = tally_mask(reporting, name);
	char *folder = folder_of(reports, safe);

	reports->groups =
		memory_resize(reports->groups, (reports->count + 1) * sizeof(*reports->groups));
	reporting->group = &reports->groups[reports->count++];
	*reporting->group = (struct report_group){.name = memory_copy_text(safe),
		.folder = folder,
		.format = spec->format};
}

bool reports_collect(struct reporting *reporting, const struct report_spec *spec, const char *name,
	bool quiet, struct error *err)
{
	scoped(strings_free) struct strings paths = {0};

	begin_group(reporting, spec, name);
	reporting->place = artifact_place_of(reporting->given, spec->base_directory);
	if (!find_files(reporting, spec, quiet, &paths, err))
		return error_while(err, "collecting the reports of %s", name);
	for (size_t i = 0; i < paths.count; i++) {
		if (i > 0 && text_equal(paths.items[i], paths.items[i - 1]))
			continue;
		if (reporting->files++ == FILES_MAX) {
			note_unread(reporting, paths.items[i], "it is one too many of 20,000");
			break;
		}
		if (!take_one(reporting, spec, paths.items[i], err))
			return false;
	}
	if (paths.count) {
		scoped(text_free) char *summary = report_group_summary(reporting->group);

		say(reporting, "Report %s: %s", reporting->group->name, summary);
	}
	return true;
}

void reports_begin(struct reporting *reporting, const struct artifact_place *place,
	const struct strings *secrets, void (*take_line)(void *self, const char *line), void *self,
	struct reports *out)
{
	*reporting = (struct reporting){.given = place,
		.place = *place,
		.say = take_line,
		.self = self,
		.out = out};
	for (size_t i = 0; i < secrets->count; i++)
		masker_add(&reporting->masker, secrets->items[i]);
}

bool reports_end(struct reporting *reporting, struct error *err)
{
	tally_flush(reporting);
	if (reporting->failure.kind) {
		error_move(err, &reporting->failure);
		return error_while(err, "writing %s", REPORTS_LINES);
	}
	if (!reporting->lines)
		return true;
	reporting->out->any_lines = true;
	return new_file_commit(reporting->lines, false, err);
}

void reporting_free(struct reporting *reporting)
{
	if (reporting->lines)
		new_file_discard(reporting->lines);
	free(reporting->lines);
	masker_free(&reporting->masker);
	buf_free(&reporting->line);
	buf_free(&reporting->pending);
	buf_free(&reporting->scratch);
	error_free(&reporting->failure);
	*reporting = (struct reporting){0};
}
