#include "base/memory.h"
#include "builders/image/image_index.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"

static struct {
	const char *output;
} given;

static const struct option_row rows[] = {
	{"output", OPTION_TEXT, &given.output, "LAYOUT[:TAG]", "OCI layout to write (tag latest)",
		NULL},
};

static const struct option_set options = {
	.usage = "image index LAYOUT[:TAG]... --output LAYOUT[:TAG]",
	.about = "one name for the builds of an image for several machines",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = -1,
};

static void print(const struct image_index *index)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&index->digest, digest);
	printf("%s:%s\n%s\n", index->layout, index->tag, digest);
	for (size_t i = 0; i < index->count; i++) {
		const struct index_part *part = &index->parts[i];
		scoped(text_free) char *platform =
			platform_text(part->os, part->architecture, part->variant);

		digest_to_text(&part->digest, digest);
		printf("  %-16s %.19s  %s\n", platform, digest, part->source);
	}
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(image_index_free) struct image_index index = {0};

	cancel_at_once(context->json);
	if (!given.output) {
		error_raise(err, ERROR_USAGE, "--output is missing");
		return error_next(err,
			"dogshore image index out/rooms:amd64 out/rooms:arm64 --output "
			"out/rooms:1");
	}
	if (!image_index_build(&context->words, given.output, &index, err))
		return false;
	if (context->json)
		image_index_write_json(&index, &context->result);
	else
		print(&index);
	return true;
}

const struct command image_index_command = {"image index", &options, run, false};
