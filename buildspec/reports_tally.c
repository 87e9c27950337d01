#include "buildspec/reports_tally.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/report_text.h"

#include <stdlib.h>

/* Of what the result itself shows; the whole is in reports.jsonl. */
enum { SHOWN_MESSAGE_BYTES = 1024, SHOWN_DETAILS_BYTES = 1024, LINES_BYTES_MAX = 64 << 20 };

/* In *out, for a short time. */
static const char *mask_into(struct reporting *reporting, const char *text, struct buf *out)
{
	buf_clear(out);
	masker_feed(&reporting->masker, str_of(text), out);
	masker_flush(&reporting->masker, out);
	return buf_text(out);
}

char *tally_mask(struct reporting *reporting, const char *text)
{
	return memory_copy_text(mask_into(reporting, text, &reporting->scratch));
}

static bool open_lines(struct reporting *reporting)
{
	scoped(text_free) char *path = path_join(reporting->place.output, REPORTS_LINES);

	if (reporting->lines)
		return true;
	reporting->lines = memory_new(sizeof(*reporting->lines));
	return new_file_create(reporting->lines, path, 0600, &reporting->failure);
}

void tally_flush(struct reporting *reporting)
{
	struct buf *pending = &reporting->pending;

	if (pending->size && !reporting->failure.kind && open_lines(reporting) &&
		descriptor_write_all(reporting->lines->fd, pending->data, pending->size,
			REPORTS_LINES, &reporting->failure))
		buf_clear(pending);
}

/* Puts reporting->line behind the others when there is room. */
static void write_line(struct reporting *reporting)
{
	enum { PENDING_BYTES = 64 << 10 };
	struct buf *line = &reporting->line;

	buf_append_char(line, '\n');
	if (reporting->failure.kind || reporting->line_count >= REPORTS_LINES_MAX ||
		reporting->lines_bytes + (int64_t)line->size > LINES_BYTES_MAX) {
		reporting->group->left_out++;
		return;
	}
	buf_append_str(&reporting->pending, buf_str(line));
	reporting->line_count++;
	reporting->lines_bytes += (int64_t)line->size;
	if (reporting->pending.size >= PENDING_BYTES)
		tally_flush(reporting);
}

static void put_masked(struct reporting *reporting, struct json_writer *w, const char *key,
	const char *text)
{
	if (*text)
		json_put_text(w, key, mask_into(reporting, text, &reporting->scratch));
}

/* Whoever looks for failures alone need not parse the others: the status comes first. */
static void write_case(struct reporting *reporting, const struct report_case *found)
{
	enum { US_PER_MS = 1000 };
	struct json_writer w = json_writer_start(&reporting->line);

	buf_clear(&reporting->line);
	json_object_begin(&w);
	json_put_text(&w, "status", report_status_name(found->status));
	if (found->flaky)
		json_put_bool(&w, "flaky", true);
	json_put_text(&w, "group", reporting->group->name);
	put_masked(reporting, &w, "suite", found->suite);
	put_masked(reporting, &w, "class", found->class_name);
	put_masked(reporting, &w, "name", found->name);
	json_key(&w, "duration_ms");
	json_write_real(&w, (double)found->duration_us / US_PER_MS);
	put_masked(reporting, &w, "message", found->message);
	put_masked(reporting, &w, "details", found->details);
	put_masked(reporting, &w, "file", found->file);
	if (found->line)
		json_put_int(&w, "line", found->line);
	json_object_end(&w);
	write_line(reporting);
}

static char *masked_cut(struct reporting *reporting, const char *text, size_t size_max)
{
	scoped(buf_free) struct buf cut = {0};

	report_cut(&cut, mask_into(reporting, text, &reporting->scratch), size_max);
	return buf_take(&cut);
}

static struct report_kept keep(struct reporting *reporting, const struct report_case *found)
{
	return (struct report_kept){.status = found->status,
		.duration_us = found->duration_us,
		.suite = tally_mask(reporting, found->suite),
		.class_name = tally_mask(reporting, found->class_name),
		.name = tally_mask(reporting, found->name),
		.message = masked_cut(reporting, found->message, SHOWN_MESSAGE_BYTES),
		.details = masked_cut(reporting, found->details, SHOWN_DETAILS_BYTES),
		.file = tally_mask(reporting, found->file),
		.line = found->line};
}

static void kept_free(struct report_kept *kept)
{
	free(kept->suite);
	free(kept->class_name);
	free(kept->name);
	free(kept->message);
	free(kept->details);
	free(kept->file);
	*kept = (struct report_kept){0};
}

static void keep_failed(struct reporting *reporting, const struct report_case *found)
{
	struct report_group *group = reporting->group;

	if (reporting->failed_count == REPORTS_FAILED_MAX)
		return;
	reporting->failed_count++;
	group->failed =
		memory_resize(group->failed, (group->failed_count + 1) * sizeof(*group->failed));
	group->failed[group->failed_count++] = keep(reporting, found);
}

/* Of equals the first one met comes first. */
static void keep_slow(struct reporting *reporting, const struct report_case *found)
{
	struct report_group *group = reporting->group;
	size_t at = group->slowest_count;

	while (at && group->slowest[at - 1].duration_us < found->duration_us)
		at--;
	if (at == REPORTS_SLOWEST || found->duration_us <= 0)
		return;
	if (group->slowest_count == REPORTS_SLOWEST)
		kept_free(&group->slowest[--group->slowest_count]);
	memmove(&group->slowest[at + 1], &group->slowest[at],
		(group->slowest_count - at) * sizeof(group->slowest[0]));
	group->slowest[at] = keep(reporting, found);
	group->slowest_count++;
}

void tally_case(void *self, const struct report_case *found)
{
	struct reporting *reporting = self;
	struct report_group *group = reporting->group;

	group->counts[found->status]++;
	group->flaky += found->flaky && found->status == REPORT_PASSED;
	group->duration_us += found->duration_us;
	if (found->status >= REPORT_FAILED)
		keep_failed(reporting, found);
	keep_slow(reporting, found);
	write_case(reporting, found);
}

void tally_coverage(void *self, const struct report_coverage *found)
{
	struct reporting *reporting = self;
	struct report_coverage *sum = &reporting->group->coverage;
	struct json_writer w = json_writer_start(&reporting->line);

	reporting->group->coverage_files++;
	sum->lines_covered += found->lines_covered;
	sum->lines_valid += found->lines_valid;
	sum->branches_covered += found->branches_covered;
	sum->branches_valid += found->branches_valid;
	buf_clear(&reporting->line);
	json_object_begin(&w);
	json_put_text(&w, "group", reporting->group->name);
	put_masked(reporting, &w, "file", found->file);
	json_put_int(&w, "lines_covered", found->lines_covered);
	json_put_int(&w, "lines_valid", found->lines_valid);
	json_put_int(&w, "branches_covered", found->branches_covered);
	json_put_int(&w, "branches_valid", found->branches_valid);
	json_object_end(&w);
	write_line(reporting);
}

static void group_free(struct report_group *group)
{
	free(group->name);
	free(group->folder);
	strings_free(&group->files);
	for (size_t i = 0; i < group->failed_count; i++)
		kept_free(&group->failed[i]);
	free(group->failed);
	for (size_t i = 0; i < group->slowest_count; i++)
		kept_free(&group->slowest[i]);
	for (size_t i = 0; i < group->unread_count; i++) {
		free(group->unread[i].file);
		free(group->unread[i].why);
	}
	free(group->unread);
}

void reports_free(struct reports *reports)
{
	for (size_t i = 0; i < reports->count; i++)
		group_free(&reports->groups[i]);
	free(reports->groups);
	*reports = (struct reports){0};
}
