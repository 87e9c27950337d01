#include "tests/test.h"

#include "deployers/local/task_image.h"

#include <signal.h>

/* Two layers; digests are of no bytes at all, only their form matters here. */
#define BLOB_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BLOB_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char two_layers[] =
	"{\"layers\":[{\"digest\":\"" BLOB_A "\"},{\"digest\":\"" BLOB_B "\"}]}";

static bool parse(const char *manifest_text, const char *config_text, struct task_image *out,
	struct error *err)
{
	scoped(json_free) struct json *manifest = NULL, *config = NULL;

	return json_parse(str_of(manifest_text), "manifest", NULL, &manifest, err) &&
	       json_parse(str_of(config_text), "config", NULL, &config, err) &&
	       task_image_parse(manifest, config, out, err);
}

TEST(the_config_says_how_to_run_it)
{
	struct error err = {0};
	struct task_image image = {0};

	REQUIRE_OK(parse(two_layers,
		"{\"architecture\":\"amd64\",\"config\":{\"Entrypoint\":[\"/"
		"svc\"],\"Cmd\":[\"-v\"],"
		"\"Env\":[\"A=1\"],\"User\":\"65532:65532\",\"WorkingDir\":\"/srv\","
		"\"StopSignal\":\"SIGINT\"},\"rootfs\":{\"diff_ids\":[\"" BLOB_B "\",\"" BLOB_A
		"\"]}}",
		&image, &err));
	CHECK_TEXT(image.entrypoint.items[0], "/svc");
	CHECK_TEXT(image.command.items[0], "-v");
	CHECK_TEXT(image.env.items[0], "A=1");
	CHECK_TEXT(image.user, "65532:65532");
	CHECK_TEXT(image.folder, "/srv");
	CHECK_INT(image.stop_signal, SIGINT);
	CHECK_INT(image.layer_count, 2);
	CHECK_INT(image.layers[0].blob.bytes[0], 0xaa);
	CHECK_INT(image.layers[0].diff_id.bytes[0], 0xbb);
	task_image_free(&image);
}

TEST(an_image_without_wishes_runs_as_root_in_the_root_folder)
{
	struct error err = {0};
	struct task_image image = {0};

	REQUIRE_OK(parse("{\"layers\":[]}",
		"{\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]}}", &image, &err));
	CHECK_TEXT(image.user, "");
	CHECK_TEXT(image.folder, "/");
	CHECK_INT(image.stop_signal, SIGTERM);
	task_image_free(&image);
}

TEST(what_cannot_be_run_is_refused)
{
	struct error err = {0};
	struct task_image image = {0};

	CHECK_FAILS(parse(two_layers, "{\"architecture\":\"s390x\",\"rootfs\":{\"diff_ids\":[]}}",
			    &image, &err),
		ERROR_INVALID);
	CHECK_FAILS(parse(two_layers,
			    "{\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"" BLOB_A
			    "\"]}}",
			    &image, &err),
		ERROR_INVALID);
	CHECK_FAILS(parse("{\"layers\":[{\"digest\":\"sha256:short\"}]}",
			    "{\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"" BLOB_A
			    "\"]}}",
			    &image, &err),
		ERROR_INVALID);
	CHECK_FAILS(parse("{\"layers\":\"no\"}", "{\"architecture\":\"amd64\"}", &image, &err),
		ERROR_INVALID);
}

TEST_MAIN()
