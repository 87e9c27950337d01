#include "base/memory.h"
#include "base/path.h"
#include "builders/registry/rebase.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"

static struct {
	const char *onto, *from;
	bool plain_http;
} given;

static const struct option_row rows[] = {
	{"onto", OPTION_TEXT, &given.onto, "IMAGE", "the new base, HOST/REPOSITORY:TAG", NULL},
	{"from", OPTION_TEXT, &given.from, "IMAGE",
		"the old base (default: what the image says it stands on)", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image rebase HOST/REPOSITORY:TAG --onto IMAGE [--from IMAGE]",
	.about = "put an image in a registry on a newer base",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static void print(const struct rebase_result *result, const struct reference *image)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&result->push.digest, digest);
	printf("%s/%s@%s\n", image->host, image->repository, digest);
	if (result->unchanged) {
		printf("it stands on %s already\n", result->onto.source);
		return;
	}
	printf("%zu layers of %s instead of %zu of %s, %zu of its own\n%lld mounted, %lld bytes "
	       "sent, %lld ms\n",
		result->onto.manifest.count, result->onto.source, result->from.manifest.count,
		result->from.source, result->own_layers, (long long)result->push.mounted,
		(long long)result->push.counts.bytes_sent, (long long)result->push.duration_ms);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(reference_free) struct reference image = {0};
	scoped(rebase_result_free) struct rebase_result result = {0};
	scoped(text_free) char *kept = path_join(context->state, "registry");
	const struct push_options push = {.plain_http = given.plain_http, .kept_folder = kept};

	cancel_at_once(context->json);
	if (!given.onto) {
		error_raise(err, ERROR_USAGE, "--onto is missing");
		return error_next(err, "name the new base: --onto registry.example.com/base:12");
	}
	if (!reference_parse(context->words.items[0], &image, err) ||
		!rebase_image(&image, given.onto, given.from, &push, &result, err))
		return error_while(err, "rebasing %s", context->words.items[0]);
	if (context->json)
		rebase_write_json(&result, &image, &context->result);
	else
		print(&result, &image);
	return true;
}

const struct command image_rebase_command = {"image rebase", &options, run, false};
