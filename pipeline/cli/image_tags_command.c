#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/registry/tags.h"
#include "pipeline/cli/command.h"

static struct {
	bool plain_http;
} given;

static const struct option_row rows[] = {
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image tags HOST/REPOSITORY",
	.about = "list the tags of a repository",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static void write_json(const struct reference *reference, const struct strings *tags,
	struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_key(&w, "repository");
	json_write_format(&w, "%s/%s", reference->host, reference->repository);
	json_put_strings(&w, "tags", tags);
	json_object_end(&w);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(reference_free) struct reference reference = {0};
	scoped(session_close) struct session *session = NULL;
	scoped(strings_free) struct strings tags = {0};
	scoped(text_free) char *kept = path_join(context->state, "registry");

	if (!reference_parse(context->words.items[0], &reference, err))
		return false;
	if (reference.tag || reference.has_digest) {
		error_raise(err, ERROR_USAGE, "\"%s\" names an image, not a repository",
			context->words.items[0]);
		return error_next(err, "dogshore image tags %s/%s", reference.host,
			reference.repository);
	}
	if (!session_open(&reference,
		    &(struct session_options){.plain_http = given.plain_http, .kept_folder = kept},
		    &session, err) ||
		!tags_list(session, &tags, err))
		return error_while(err, "listing the tags of %s/%s", reference.host,
			reference.repository);
	if (context->json) {
		write_json(&reference, &tags, &context->result);
		return true;
	}
	for (size_t i = 0; i < tags.count; i++)
		printf("%s\n", tags.items[i]);
	return true;
}

const struct command image_tags_command = {"image tags", &options, run, false};
