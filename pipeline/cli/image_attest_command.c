#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/evidence/build_evidence.h"
#include "builders/evidence/evidence.h"
#include "builders/evidence/evidence_place.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"

#include <stdlib.h>

enum { PREDICATE_LIMIT = 32 << 20 };

static struct {
	const char *provenance, *predicate, *type, *key;
	bool plain_http;
} given;

static const struct option_row rows[] = {
	{"provenance", OPTION_TEXT, &given.provenance, "FILE",
		"facts of the build (JSON): attach SLSA provenance", NULL},
	{"predicate", OPTION_TEXT, &given.predicate, "FILE", "attach this JSON document", NULL},
	{"type", OPTION_TEXT, &given.type, "URI",
		"what the document is: slsaprovenance1, spdx, cyclonedx or a URI", NULL},
	{"key", OPTION_TEXT, &given.key, "KEY",
		"sign: FILE, env:NAME or kms:KEY (default $DOGSHORE_SIGNING_KEY, else unsigned)",
		NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image attest IMAGE --provenance FILE | --predicate FILE --type URI [--key KEY]",
	.about = "attach a statement to an image; IMAGE is HOST/REPOSITORY:TAG or oci:FOLDER:TAG",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static const char *type_of(const char *name)
{
	static const struct {
		const char *name, *uri;
	} known[] = {{"slsaprovenance1", PREDICATE_SLSA_PROVENANCE}, {"spdx", PREDICATE_SPDX},
		{"spdxjson", PREDICATE_SPDX}, {"cyclonedx", PREDICATE_CYCLONEDX}};

	for (size_t i = 0; i < countof(known); i++)
		if (text_equal(name, known[i].name))
			return known[i].uri;
	return name;
}

static bool check_given(struct error *err)
{
	if (!given.provenance == !given.predicate) {
		error_raise(err, ERROR_USAGE, "give --provenance or --predicate");
		return error_next(err, "dogshore image attest oci:out/rooms:1 --provenance "
				       "facts.json");
	}
	if (given.predicate && !given.type) {
		error_raise(err, ERROR_USAGE, "--type is missing");
		return error_next(err, "say what the document is: slsaprovenance1, spdx, "
				       "cyclonedx or a URI");
	}
	if (given.type && !strchr(type_of(given.type), ':')) {
		error_raise(err, ERROR_USAGE, "the type \"%s\" is not known and no URI",
			given.type);
		return error_next(err, "slsaprovenance1, spdx, cyclonedx or a URI");
	}
	return true;
}

static bool attest(struct evidence_place *at, struct signer *signer, struct error *err)
{
	scoped(provenance_facts_free) struct provenance_facts facts = {0};
	scoped(statement_free) struct statement statement = {0};

	if (given.provenance)
		return build_evidence_facts(given.provenance, &facts, err) &&
		       evidence_provenance(&at->layout, &at->subject, &facts, NULL, NULL, signer,
			       err);
	if (!json_read_file(given.predicate, PREDICATE_LIMIT, &statement.predicate, err))
		return false;
	if (!json_is_object(statement.predicate))
		return error_raise(err, ERROR_INVALID, "\"%s\" is no JSON object", given.predicate);
	statement.predicate_type = memory_copy_text(type_of(given.type));
	return evidence_attest(&at->layout, &at->subject, &statement, signer, err);
}

static bool run(struct command_context *context, struct error *err)
{
	const char *image = context->words.items[0];
	const char *key = given.key ? given.key : getenv("DOGSHORE_SIGNING_KEY");
	scoped(place_free) struct place place = {0};
	scoped(evidence_place_free) struct evidence_place at = {0};
	scoped(signer_free) struct signer *signer = NULL;
	char digest[DIGEST_TEXT_SIZE];
	int64_t pushed;

	cancel_at_once(context->json);
	if (!check_given(err) || !evidence_place_parse(image, &place, err) ||
		(key && *key && !signer_open(key, &signer, err)) ||
		!evidence_place_open(&place,
			&(struct evidence_place_options){.plain_http = given.plain_http,
				.push = true},
			&at, err) ||
		!attest(&at, signer, err) || !evidence_place_publish(&at, &pushed, err))
		return error_while(err, "attesting %s", image);
	digest_to_text(&at.subject.digest, digest);
	if (!context->json) {
		printf("%s\n%s\n", digest, signer ? "attested and signed" : "attested, not signed");
		return true;
	}
	struct json_writer w = json_writer_start(&context->result);
	json_object_begin(&w);
	json_put_text(&w, "stage", "image attest");
	json_put_text(&w, "status", "done");
	json_put_text(&w, "image", image);
	json_put_text(&w, "digest", digest);
	json_put_bool(&w, "signed", signer != NULL);
	json_put_int(&w, "referrers", pushed);
	json_object_end(&w);
	return true;
}

const struct command image_attest_command = {"image attest", &options, run, false};
