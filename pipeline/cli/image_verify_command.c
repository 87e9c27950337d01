#include "base/memory.h"
#include "builders/evidence/evidence_place.h"
#include "builders/evidence/verify.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"

static struct {
	const char *policy, *key;
	bool plain_http, no_layers;
} given;

static const struct option_row rows[] = {
	{"policy", OPTION_TEXT, &given.policy, "FILE", "what the image must bring", NULL},
	{"key", OPTION_TEXT, &given.key, "FILE",
		"instead of a policy: the public key that must have signed it", NULL},
	{"no-layers", OPTION_SWITCH, &given.no_layers, NULL,
		"of an image in a registry: do not fetch and hash its layers", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image verify IMAGE --policy FILE | --key FILE",
	.about = "check an image's signature and what else is known about it",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static void print(const struct verification *verification)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&verification->digest, digest);
	printf("%s %s\n", digest, verification->passed ? "passed" : "is refused");
	for (size_t i = 0; i < verification->count; i++)
		printf("  %-6s  %-13s  %s\n", verification->checks[i].passed ? "passed" : "FAILED",
			verification->checks[i].name, verification->checks[i].detail);
}

static bool run(struct command_context *context, struct error *err)
{
	const char *image = context->words.items[0];
	scoped(place_free) struct place place = {0};
	scoped(policy_free) struct policy policy = {0};
	scoped(evidence_place_free) struct evidence_place at = {0};
	scoped(verification_free) struct verification verification = {0};

	cancel_at_once(context->json);
	if (!given.policy == !given.key) {
		error_raise(err, ERROR_USAGE, "give --policy or --key");
		return error_next(err, "dogshore image verify %s --policy policy.yml", image);
	}
	if (!evidence_place_parse(image, &place, err) ||
		!(given.policy ? policy_read_file(given.policy, &policy, err)
			       : policy_of_key(given.key, &policy, err)) ||
		!evidence_place_open(&place,
			&(struct evidence_place_options){.plain_http = given.plain_http,

				.image = true,
				.layers = !given.no_layers},
			&at, err) ||
		!verify_image(&at.layout, &at.subject, &policy,
			&(struct verify_options){
				.without_layers = !place.is_layout && given.no_layers},
			&verification, err))
		return error_while(err, "verifying %s", image);
	context->exit_status = verification.passed ? 0 : 1;
	if (context->json)
		verification_write_json(&verification, image, &context->result);
	else
		print(&verification);
	return true;
}

const struct command image_verify_command = {"image verify", &options, run, false};
