#include "base/clock.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/evidence/evidence.h"
#include "builders/evidence/evidence_place.h"
#include "builders/image/image_compare.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"
#include "pipeline/engine/rebuild.h"

enum { EXIT_DIFFERENT = 1 };

static struct {
	const char *repository, *output;
	bool plain_http, network, no_sandbox;
} given = {.repository = "."};

static const struct option_row rows[] = {
	{"repository", OPTION_TEXT, &given.repository, "DIR",
		"has the commit (default: the one here)", NULL},
	{"output", OPTION_TEXT, &given.output, "LAYOUT[:TAG]",
		"keep the image that was built again", NULL},
	{"network", OPTION_SWITCH, &given.network, NULL, "let the build use the network", NULL},
	{"no-sandbox", OPTION_SWITCH, &given.no_sandbox, NULL,
		"run the build's commands as ordinary children", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS (loopback hosts: always)", NULL},
};

static const struct option_set options = {
	.usage = "image prove IMAGE [--repository DIR]",
	.about = "build an image again from its commit and compare, bit for bit",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

/* An image under proof: what it claims, and what is built here. */
struct proof {
	struct evidence_place claimed;
	struct statement statement;
	struct provenance provenance; /* borrows from statement */
	char *folder;                 /* owned; removed at the end */
	char *output;                 /* owned: LAYOUT:TAG of the image built here */
	char *epoch;                  /* owned; NULL: none */
	struct rebuilt here;
};

static void proof_free(struct proof *proof)
{
	struct error err = {0};

	evidence_place_free(&proof->claimed);
	statement_free(&proof->statement);
	if (proof->folder && !folder_remove(proof->folder, &err))
		error_ignore(&err, "a temporary folder; the system's tidying finds it");
	text_free(&proof->folder);
	text_free(&proof->output);
	text_free(&proof->epoch);
}

/* The image's own time of creation is an input: SOURCE_DATE_EPOCH of then. */
static bool read_epoch(struct proof *proof, struct error *err)
{
	scoped(buf_free) struct buf manifest = {0}, config = {0};
	scoped(manifest_free) struct manifest parsed = {0};
	scoped(image_facts_free) struct image_facts facts = {0};
	const struct layout *layout = &proof->claimed.layout;
	int64_t created_ms;

	if (!layout_read_blob(layout, &proof->claimed.subject.digest, MANIFEST_LIMIT, &manifest,
		    err) ||
		!manifest_parse(buf_str(&manifest), NULL, "the manifest", &parsed, err))
		return false;
	if (parsed.is_index) {
		error_raise(err, ERROR_USAGE, "this is an index of images for several platforms");
		return error_next(err, "name one of its images by digest");
	}
	if (!layout_read_blob(layout, &parsed.config.digest, MANIFEST_LIMIT, &config, err) ||
		!config_parse(buf_str(&config), "the configuration", &facts, err))
		return false;
	if (time_of_rfc3339(str_of(facts.created), &created_ms) && created_ms > 0)
		proof->epoch = memory_format("%lld", (long long)created_ms / 1000);
	return true;
}

static bool open_claim(struct proof *proof, const char *image, struct error *err)
{
	scoped(place_free) struct place place = {0};

	if (!evidence_place_parse(image, &place, err) ||
		!evidence_place_open(&place,
			&(struct evidence_place_options){.plain_http = given.plain_http,
				.image = true,
				.layers = true},
			&proof->claimed, err) ||
		!evidence_find_provenance(&proof->claimed.layout, &proof->claimed.subject.digest,
			&proof->statement, err))
		return false;
	provenance_read(proof->statement.predicate, &proof->provenance);
	return true;
}

static bool compare(struct proof *proof, struct image_difference *out, struct error *err)
{
	scoped(layout_free) struct layout layout = {0};
	scoped(text_free) char *path = NULL, *tag = NULL;

	return layout_reference_parse(proof->output, &path, &tag, err) &&
	       layout_open(path, &layout, err) &&
	       image_compare(&proof->claimed.layout, &proof->claimed.subject.digest, &layout,
		       &proof->here.digest, out, err);
}

static void write_json(const struct proof *proof, const char *image,
	const struct image_difference *difference, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	char digest[DIGEST_TEXT_SIZE];

	json_object_begin(&w);
	json_put_text(&w, "stage", "image prove");
	json_put_text(&w, "status", difference->same ? "passed" : "failed");
	json_put_text(&w, "image", image);
	digest_to_text(&proof->claimed.subject.digest, digest);
	json_put_text(&w, "digest", digest);
	digest_to_text(&proof->here.digest, digest);
	json_put_text(&w, "rebuilt", digest);
	json_put_text(&w, "repository", proof->provenance.repository);
	json_put_text(&w, "commit", proof->here.commit);
	json_put_text(&w, "service", proof->provenance.service);
	json_key(&w, "difference");
	if (difference->same) {
		json_write_null(&w);
	} else {
		json_object_begin(&w);
		json_put_text(&w, "where", difference->where);
		json_put_text(&w, "what", difference->what);
		json_object_end(&w);
	}
	json_object_end(&w);
}

static void print(const struct proof *proof, const struct image_difference *difference)
{
	char digest[DIGEST_TEXT_SIZE], rebuilt[DIGEST_TEXT_SIZE];

	digest_to_text(&proof->claimed.subject.digest, digest);
	digest_to_text(&proof->here.digest, rebuilt);
	if (difference->same)
		printf("%s\nis %s of commit %.12s: the same, bit for bit\n", digest,
			proof->provenance.service, proof->here.commit);
	else
		printf("%s\nis not what %s of commit %.12s gives here: %s\n%s: %s\n", digest,
			proof->provenance.service, proof->here.commit, rebuilt, difference->where,
			difference->what);
}

static bool prove(struct proof *proof, const char *image, struct image_difference *out,
	struct error *err)
{
	if (!folder_make_temporary(NULL, "dogshore-prove-", &proof->folder, err) ||
		!open_claim(proof, image, err) || !read_epoch(proof, err))
		return false;
	proof->output = given.output ? memory_copy_text(given.output)
				     : path_join(proof->folder, "image:again");
	return rebuild_image(&(struct rebuild_options){.repository = given.repository,
				     .commit = proof->provenance.commit,
				     .service = proof->provenance.service,
				     .origin = proof->provenance.repository,
				     .folder = proof->folder,
				     .output = proof->output,
				     .epoch = proof->epoch,
				     .network = given.network,
				     .no_sandbox = given.no_sandbox},
		       &proof->here, err) &&
	       compare(proof, out, err);
}

static bool run(struct command_context *context, struct error *err)
{
	const char *image = context->words.items[0];
	scoped(proof_free) struct proof proof = {0};
	scoped(image_difference_free) struct image_difference difference = {0};

	cancel_at_once(context->json);
	if (!prove(&proof, image, &difference, err))
		return error_while(err, "proving %s", image);
	context->exit_status = difference.same ? 0 : EXIT_DIFFERENT;
	if (context->json)
		write_json(&proof, image, &difference, &context->result);
	else
		print(&proof, &difference);
	return true;
}

const struct command image_prove_command = {"image prove", &options, run, false};
