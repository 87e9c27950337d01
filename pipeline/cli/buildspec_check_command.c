#include "base/json_writer.h"
#include "base/memory.h"
#include "buildspec/buildspec.h"
#include "pipeline/cli/command.h"

#include <stdio.h>

enum { EXIT_INVALID = 2 };

static const struct option_set check_options = {
	.usage = "buildspec check [FILE…]",
	.about = "check buildspecs and say everything that is wrong",
	.word_max = -1,
};

static void write_finding(struct json_writer *w, const char *file,
	const struct buildspec_finding *finding)
{
	json_object_begin(w);
	json_put_text(w, "file", file);
	json_put_text(w, "severity", finding->warning ? "warning" : "error");
	json_put_int(w, "line", finding->line);
	json_put_int(w, "column", finding->column);
	json_put_text(w, "path", finding->path);
	json_put_text(w, "message", finding->message);
	json_object_end(w);
}

static bool check_one(const char *file, struct json_writer *w)
{
	scoped(arena_free) struct arena arena = {0};
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	struct buildspec spec;

	buildspec_load(file, &arena, &spec, &findings);
	for (size_t i = 0; i < findings.count; i++) {
		const struct buildspec_finding *finding = &findings.items[i];

		if (w)
			write_finding(w, file, finding);
		else
			printf("%s:%d:%d: %s: %s%s%s\n", file, finding->line, finding->column,
				finding->warning ? "warning" : "error", finding->path,
				finding->path[0] ? ": " : "", finding->message);
	}
	return !buildspec_first_error(&findings);
}

static bool check(struct command_context *context, struct error *err)
{
	static char standard[] = "buildspec.yml", *only = standard;
	char *const *files = context->words.count ? context->words.items : &only;
	size_t count = context->words.count ? context->words.count : 1;
	struct json_writer w = json_writer_start(&context->result);
	bool good = true;

	(void)err;
	if (context->json) {
		json_object_begin(&w);
		json_key(&w, "findings");
		json_array_begin(&w);
	}
	for (size_t i = 0; i < count; i++)
		good = check_one(files[i], context->json ? &w : NULL) && good;
	if (context->json) {
		json_array_end(&w);
		json_put_text(&w, "status", good ? "passed" : "failed");
		json_object_end(&w);
	}
	context->exit_status = good ? 0 : EXIT_INVALID;
	return true;
}

const struct command buildspec_check_command = {"buildspec check", &check_options, check, false};
