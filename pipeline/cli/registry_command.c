#include "pipeline/cli/command.h"

#include "base/aws.h"
#include "base/json_writer.h"
#include "base/memory.h"

/* Run by the engine, which itself never waits for the network. */

static const struct option_set options = {
	.usage = "registry",
	.about = "say where the images of this AWS account go",
};

static bool run(struct command_context *context, struct error *err)
{
	struct aws *aws = NULL;
	scoped(json_free) struct json *identity = NULL;
	struct aws_options none = {0};

	if (!aws_new(&none, &aws, err))
		return false;
	bool done = aws_call(aws, "sts", "GetCallerIdentity", NULL, &identity, NULL, err);
	const char *account = json_get_text(identity, "Account", NULL);
	scoped(text_free) char *region = memory_copy_text(aws_region(aws));

	aws_free(&aws);
	if (!done)
		return error_while(err, "asking whose registry it is");
	if (!account || !region)
		return error_raise(err, ERROR_PROTOCOL, "sts GetCallerIdentity names no account");
	scoped(text_free) char *host = memory_format("%s.dkr.ecr.%s.amazonaws.com%s", account,
		region, text_starts_with(region, "cn-") ? ".cn" : "");

	if (!context->json) {
		printf("%s\n", host);
		return true;
	}
	struct json_writer w = json_writer_start(&context->result);

	json_object_begin(&w);
	json_put_text(&w, "registry", host);
	json_object_end(&w);
	return true;
}

const struct command registry_command = {"registry", &options, run, true};
