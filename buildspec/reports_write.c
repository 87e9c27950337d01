#include "base/memory.h"
#include "buildspec/reports.h"

enum { US_PER_MS = 1000 };

static void put_text(struct json_writer *w, const char *key, const char *text)
{
	if (text && *text)
		json_put_text(w, key, text);
}

static void put_duration(struct json_writer *w, int64_t duration_us)
{
	json_key(w, "duration_ms");
	json_write_real(w, (double)duration_us / US_PER_MS);
}

static void write_kept(const struct report_kept *kept, bool why, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "status", report_status_name(kept->status));
	put_text(w, "suite", kept->suite);
	put_text(w, "class", kept->class_name);
	json_put_text(w, "name", kept->name);
	put_duration(w, kept->duration_us);
	if (why) {
		put_text(w, "message", kept->message);
		put_text(w, "details", kept->details);
	}
	put_text(w, "file", kept->file);
	if (kept->line)
		json_put_int(w, "line", kept->line);
	json_object_end(w);
}

static void write_list(struct json_writer *w, const char *key, const struct report_kept *items,
	size_t count, bool why)
{
	json_key(w, key);
	json_array_begin(w);
	for (size_t i = 0; i < count; i++)
		write_kept(&items[i], why, w);
	json_array_end(w);
}

static void write_totals(const struct report_group *group, struct json_writer *w)
{
	const int64_t *counts = group->counts;

	json_key(w, "totals");
	json_object_begin(w);
	json_put_int(w, "passed", counts[REPORT_PASSED]);
	json_put_int(w, "failed", counts[REPORT_FAILED]);
	json_put_int(w, "errors", counts[REPORT_ERROR]);
	json_put_int(w, "skipped", counts[REPORT_SKIPPED]);
	json_put_int(w, "flaky", group->flaky);
	put_duration(w, group->duration_us);
	json_object_end(w);
}

static void write_coverage(const struct report_group *group, struct json_writer *w)
{
	json_key(w, "coverage");
	json_object_begin(w);
	json_put_int(w, "files", group->coverage_files);
	json_put_int(w, "lines_covered", group->coverage.lines_covered);
	json_put_int(w, "lines_valid", group->coverage.lines_valid);
	json_put_int(w, "branches_covered", group->coverage.branches_covered);
	json_put_int(w, "branches_valid", group->coverage.branches_valid);
	json_object_end(w);
}

static void write_unread(const struct report_group *group, struct json_writer *w)
{
	json_key(w, "unread");
	json_array_begin(w);
	for (size_t i = 0; i < group->unread_count; i++) {
		json_object_begin(w);
		json_put_text(w, "file", group->unread[i].file);
		json_put_text(w, "message", group->unread[i].why);
		json_object_end(w);
	}
	json_array_end(w);
}

static void write_group(const struct report_group *group, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "group", group->name);
	json_put_text(w, "format", group->format->name);
	json_put_text(w, "dir", group->folder);
	json_put_int(w, "file_count", group->file_count);
	json_put_strings(w, "files", &group->files);
	if (group->format->coverage) {
		write_coverage(group, w);
	} else {
		write_totals(group, w);
		write_list(w, "failed", group->failed, group->failed_count, true);
		write_list(w, "slowest", group->slowest, group->slowest_count, false);
	}
	if (group->left_out)
		json_put_int(w, "left_out", group->left_out);
	if (group->unread_count)
		write_unread(group, w);
	json_object_end(w);
}

void reports_write(const struct reports *reports, struct json_writer *w)
{
	json_key(w, "reports");
	json_array_begin(w);
	for (size_t i = 0; i < reports->count; i++)
		write_group(&reports->groups[i], w);
	json_array_end(w);
}

static void add_count(struct buf *out, int64_t count, const char *word)
{
	if (count)
		buf_printf(out, "%s%lld %s", out->size ? ", " : "", (long long)count, word);
}

static void add_share(struct buf *out, int64_t covered, int64_t valid, const char *word)
{
	if (valid)
		buf_printf(out, "%s%.1f %% of %lld %s", out->size ? ", " : "covered ",
			100.0 * (double)covered / (double)valid, (long long)valid, word);
}

char *report_group_summary(const struct report_group *group)
{
	const struct report_coverage *coverage = &group->coverage;
	scoped(buf_free) struct buf out = {0};

	add_count(&out, group->counts[REPORT_PASSED], "passed");
	add_count(&out, group->counts[REPORT_FAILED], "failed");
	add_count(&out, group->counts[REPORT_ERROR], "with errors");
	add_count(&out, group->counts[REPORT_SKIPPED], "skipped");
	add_share(&out, coverage->lines_covered, coverage->lines_valid, "lines");
	add_share(&out, coverage->branches_covered, coverage->branches_valid, "branches");
	if (!out.size)
		buf_append_text(&out, group->format->coverage ? "nothing is covered" : "no cases");
	return buf_take(&out);
}
