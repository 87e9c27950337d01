#include "base/memory.h"
#include "base/path.h"
#include "base/terminal.h"
#include "builders/image/layout_search.h"
#include "builders/registry/copy.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/push_warnings.h"
#include "pipeline/cli/run_secrets.h"

static struct push_options given;
static struct {
	bool scan;
	const char *secrets_file;
	struct strings allowed;
} fence_given;

static const struct option_row rows[] = {
	{"create-repository", OPTION_SWITCH, &given.create_repository, NULL,
		"make a missing ECR repository", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
	{"scan", OPTION_SWITCH, &fence_given.scan, NULL,
		"look for secrets first, in an image that others built", NULL},
	{"secrets-file", OPTION_TEXT, &fence_given.secrets_file, "FILE",
		"with --scan: secrets of the build, which must not be in the image", NULL},
	{"allow-secret", OPTION_LIST, &fence_given.allowed, "PATH=REASON",
		"with --scan: a secret that must be in the image, and why", NULL},
};

static const struct option_set options = {
	.usage = "image push LAYOUT[:TAG] HOST/REPOSITORY[:TAG]",
	.about = "push an image from a layout to a registry",
	.rows = rows,
	.count = countof(rows),
	.word_min = 2,
	.word_max = 2,
};

/* What `image build` makes was searched when it was made. */
static bool scan(const char *source, struct error *err)
{
	scoped(strings_free) struct strings secrets = {0}, warnings = {0};
	scoped(leak_fence_free) struct leak_fence *fence = NULL;
	scoped(layout_free) struct layout layout = {0};
	scoped(text_free) char *path = NULL, *tag = NULL;

	if (!run_secrets_collect(fence_given.secrets_file, NULL, &secrets, err) ||
		!leak_fence_new(&secrets, &fence_given.allowed, &fence, err) ||
		!layout_reference_parse(source, &path, &tag, err) ||
		!layout_open(path, &layout, err) || !layout_search(&layout, tag, fence, err) ||
		!leak_fence_verdict(fence, &warnings, err))
		return false;
	for (size_t i = 0; i < warnings.count; i++) {
		fputs("warning: ", stderr);
		terminal_print(stderr, str_of(warnings.items[i]));
		fputc('\n', stderr);
	}
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(reference_free) struct reference target = {0};
	scoped(text_free) char *notes = path_join(context->state, "pushed");
	scoped(text_free) char *kept = path_join(context->state, "registry");
	scoped(push_result_free) struct push_result result = {0};

	given.note_folder = notes;
	cancel_at_once(context->json);
	given.kept_folder = kept;
	if (!reference_parse(context->words.items[1], &target, err) ||
		(fence_given.scan && !scan(context->words.items[0], err)) ||
		!copy_layout_to_registry(context->words.items[0], &target, &given, &result, err))
		return false;
	push_warnings_print(&result);
	if (context->json) {
		push_write_json(&result, &target, "image push", &context->result);
		return true;
	}
	char digest[DIGEST_TEXT_SIZE];
	digest_to_text(&result.digest, digest);
	printf("%s/%s@%s\n%lld uploaded, %lld there already, %lld referrers, %lld bytes sent, %lld "
	       "ms\n",
		target.host, target.repository, digest, (long long)result.uploaded,
		(long long)result.existing, (long long)result.referrers,
		(long long)result.counts.bytes_sent, (long long)result.duration_ms);
	return true;
}

const struct command image_push_command = {"image push", &options, run, false};
