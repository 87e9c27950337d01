#include "base/memory.h"
#include "base/path.h"
#include "builders/registry/copy.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/push_warnings.h"

static struct push_options given;

static const struct option_row rows[] = {
	{"create-repository", OPTION_SWITCH, &given.create_repository, NULL,
		"make a missing ECR repository", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image copy FROM TO",
	.about = "copy an image; FROM and TO are HOST/REPOSITORY:TAG or oci:FOLDER:TAG",
	.rows = rows,
	.count = countof(rows),
	.word_min = 2,
	.word_max = 2,
};

static bool run(struct command_context *context, struct error *err)
{
	scoped(place_free) struct place from = {0}, to = {0};
	scoped(push_result_free) struct push_result result = {0};

	scoped(text_free) char *kept = path_join(context->state, "registry");

	cancel_at_once(context->json);
	given.kept_folder = kept;
	if (!place_parse(context->words.items[0], &from, err) ||
		!place_parse(context->words.items[1], &to, err))
		return false;
	/* Without a tag of its own the copy keeps the original's name. */
	if (!to.is_layout && !to.reference.tag && !to.reference.has_digest && !from.is_layout)
		to.reference.tag = memory_copy_text(from.reference.tag);
	if (!copy_image(&from, &to, &given, &result, err))
		return error_while(err, "copying %s to %s", context->words.items[0],
			context->words.items[1]);
	push_warnings_print(&result);
	if (context->json) {
		struct reference *named = to.is_layout ? &from.reference : &to.reference;
		push_write_json(&result, named, "image copy", &context->result);
		return true;
	}
	char digest[DIGEST_TEXT_SIZE];
	digest_to_text(&result.digest, digest);
	printf("%s\n%lld blobs moved, %lld there already, %lld mounted, %lld ms\n", digest,
		(long long)result.uploaded, (long long)result.existing, (long long)result.mounted,
		(long long)result.duration_ms);
	return true;
}

const struct command image_copy_command = {"image copy", &options, run, false};
