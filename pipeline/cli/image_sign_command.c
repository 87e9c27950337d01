#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/evidence/evidence.h"
#include "builders/evidence/evidence_place.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"

#include <stdlib.h>

static struct {
	const char *key, *reference;
	bool plain_http;
} given;

static const struct option_row rows[] = {
	{"key", OPTION_TEXT, &given.key, "KEY",
		"FILE, env:NAME or kms:KEY (default $DOGSHORE_SIGNING_KEY)", NULL},
	{"reference", OPTION_TEXT, &given.reference, "HOST/REPOSITORY",
		"what a layout's image is signed for (default: nothing in particular)", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image sign IMAGE --key KEY",
	.about = "sign an image; IMAGE is HOST/REPOSITORY:TAG or oci:FOLDER:TAG",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static bool run(struct command_context *context, struct error *err)
{
	const char *image = context->words.items[0];
	const char *key = given.key ? given.key : getenv("DOGSHORE_SIGNING_KEY");
	scoped(place_free) struct place place = {0};
	scoped(evidence_place_free) struct evidence_place at = {0};
	scoped(signer_free) struct signer *signer = NULL;
	char digest[DIGEST_TEXT_SIZE], id[DIGEST_TEXT_SIZE];
	int64_t pushed;

	cancel_at_once(context->json);
	if (!key || !*key) {
		error_raise(err, ERROR_USAGE, "--key is missing");
		return error_next(err, "name a PEM file, env:NAME or kms:KEY");
	}
	if (!evidence_place_parse(image, &place, err) || !signer_open(key, &signer, err) ||
		!evidence_place_open(&place,
			&(struct evidence_place_options){.plain_http = given.plain_http,
				.push = true},
			&at, err) ||
		!evidence_sign(&at.layout, &at.subject,
			given.reference ? given.reference : at.reference, signer, err) ||
		!evidence_place_publish(&at, &pushed, err))
		return error_while(err, "signing %s", image);
	struct digest key_id = public_key_id(signer_public_key(signer));
	digest_to_text(&at.subject.digest, digest);
	digest_to_text(&key_id, id);
	if (!context->json) {
		printf("%s\nsigned by the key %s\n", digest, id);
		return true;
	}
	struct json_writer w = json_writer_start(&context->result);
	json_object_begin(&w);
	json_put_text(&w, "stage", "image sign");
	json_put_text(&w, "status", "done");
	json_put_text(&w, "image", image);
	json_put_text(&w, "digest", digest);
	json_put_text(&w, "key", id);
	json_put_int(&w, "referrers", pushed);
	json_object_end(&w);
	return true;
}

const struct command image_sign_command = {"image sign", &options, run, false};
