#include "tests/test.h"

#include "base/memory.h"
#include "builders/image/base_swap.h"

#define HEX(c)                                                                                     \
	c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c  \
		c c c c c c c c c c c c c c c c c c c

/* An image whose layers are "111…", "222…": each letter of layers is one. */
static struct base_image image_of(const char *layers, const char *run, const char *history,
	const char *annotations)
{
	struct base_image image = {0};
	scoped(buf_free) struct buf manifest = {0}, config = {0};
	struct error err = {0};

	buf_printf(&manifest,
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX(
			"c") "\",\"size\":1},\"layers\":[");
	buf_printf(&config,
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-02T03:04:05Z\","
		"\"config\":%s,\"history\":%s,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		run, history);
	for (const char *at = layers; *at; at++) {
		char hex[65];

		memset(hex, *at, 64);
		hex[64] = 0;
		buf_printf(&manifest,
			"%s{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\","
			"\"digest\":\"sha256:%s\",\"size\":7}",
			at > layers ? "," : "", hex);
		buf_printf(&config, "%s\"sha256:%s\"", at > layers ? "," : "", hex);
	}
	buf_printf(&manifest, "],\"annotations\":%s}", annotations);
	buf_append_text(&config, "]}}");
	const struct digest digest = digest_of_str(buf_str(&manifest));
	CHECK_OK(base_image_of(buf_str(&manifest), NULL, buf_str(&config), &digest, &image, &err));
	image.source = memory_copy_text(layers);
	return image;
}

TEST(layers_settings_history_and_annotations_follow_the_new_base)
{
	scoped(base_image_free) struct base_image old = image_of("1",
		"{\"Env\":[\"PATH=/old\",\"A=1\",\"GONE=1\"],\"User\":\"5\",\"WorkingDir\":\"/"
		"old\","
		"\"Labels\":{\"x\":\"old\",\"y\":\"same\"},\"StopSignal\":\"SIGINT\"}",
		"[{\"created_by\":\"old base\"},{\"created_by\":\"env\",\"empty_layer\":true}]",
		"{}");
	scoped(base_image_free) struct base_image image = image_of("19",
		"{\"Env\":[\"PATH=/"
		"old\",\"A=ours\",\"GONE=1\",\"B=2\"],\"User\":\"5\",\"WorkingDir\":\"/ours\","
		"\"Labels\":{\"x\":\"old\",\"y\":\"same\",\"z\":\"ours\"},\"Entrypoint\":[\"/"
		"app\"],"
		"\"StopSignal\":\"SIGINT\"}",
		"[{\"created_by\":\"old base\"},{\"created_by\":\"env\",\"empty_layer\":true},"
		"{\"created_by\":\"ours\"},{\"created_by\":\"more\",\"empty_layer\":true}]",
		"{\"keep\":\"me\",\"org.opencontainers.image.base.name\":\"old.example/x:1\"}");
	scoped(base_image_free) struct base_image onto = image_of("23",
		"{\"Env\":[\"PATH=/new\",\"A=3\",\"C=4\"],\"User\":\"6\",\"WorkingDir\":\"/new\","
		"\"Labels\":{\"x\":\"new\"}}",
		"[{\"created_by\":\"new base\"},{\"created_by\":\"its second\"}]", "{}");
	scoped(swapped_free) struct swapped swapped = {0};
	struct error err = {0};

	onto.name = memory_copy_text("new.example/x:2");
	CHECK_OK(base_swap(&image, &old, &onto, &swapped, &err));
	CHECK_TEXT(buf_text(&swapped.config),
		"{\"created\":\"2020-01-02T03:04:05Z\",\"architecture\":\"amd64\",\"os\":\"linux\","
		"\"config\":{\"User\":\"6\",\"Env\":[\"PATH=/new\",\"C=4\",\"A=ours\",\"B=2\"],"
		"\"Entrypoint\":[\"/app\"],\"WorkingDir\":\"/ours\","
		"\"Labels\":{\"x\":\"new\",\"z\":\"ours\"}},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX(
			"2") "\",\"sha256:" HEX("3") "\",\"sha256:" HEX("9") "\"]},"
									     "\"history\":[{"
									     "\"created_by\":\"new "
									     "base\"},{\"created_"
									     "by\":\"its second\"},"
									     "{\"created_by\":"
									     "\"ours\"},{\"created_"
									     "by\":\"more\","
									     "\"empty_layer\":true}"
									     "]}");
	CHECK_CONTAINS(buf_text(&swapped.manifest), "\"layers\":[{\"mediaType\":\"application/"
						    "vnd.oci.image.layer.v1.tar+gzip\",\"digest\":"
						    "\"sha256:" HEX("2"));
	CHECK_CONTAINS(buf_text(&swapped.manifest), "\"keep\":\"me\"");
	CHECK_CONTAINS(buf_text(&swapped.manifest),
		"\"org.opencontainers.image.base.name\":\"new.example/x:2\"");
}

/* A base from a layout is nowhere to be fetched from; least of all where the old one lay. */
TEST(the_old_bases_place_does_not_stay)
{
	scoped(base_image_free) struct base_image old = image_of("1", "{}", "[]", "{}");
	scoped(base_image_free) struct base_image image = image_of("19", "{}", "[]",
		"{\"org.opencontainers.image.base.name\":\"old.example/x:1\"}");
	scoped(base_image_free) struct base_image onto = image_of("2", "{}", "[]", "{}");
	scoped(swapped_free) struct swapped swapped = {0};
	struct error err = {0};

	REQUIRE_OK(base_swap(&image, &old, &onto, &swapped, &err));
	CHECK(!strstr(buf_text(&swapped.manifest), "old.example"));
	CHECK_CONTAINS(buf_text(&swapped.manifest), "org.opencontainers.image.base.digest");
}

TEST(an_image_that_stands_on_something_else_is_refused)
{
	scoped(base_image_free) struct base_image old = image_of("12", "{}", "[]", "{}");
	scoped(base_image_free) struct base_image image = image_of("19", "{}", "[]", "{}");
	scoped(swapped_free) struct swapped swapped = {0};
	struct error err = {0};

	CHECK(!base_swap(&image, &old, &old, &swapped, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_TEXT(err.message,
		"the image \"19\" does not stand on \"12\": its layer 2 is another");
	error_free(&err);
	/* Nor is an image with fewer layers than its base. */
	CHECK(!base_swap(&old, &image, &old, &swapped, &err));
	error_free(&err);
}

TEST(a_history_that_tells_of_another_number_of_layers_is_replaced)
{
	scoped(base_image_free) struct base_image old = image_of("1", "{}", "[]", "{}");
	scoped(base_image_free) struct base_image image =
		image_of("19", "{}", "[{\"created_by\":\"only one\"}]", "{}");
	scoped(swapped_free) struct swapped swapped = {0};
	struct error err = {0};

	CHECK_OK(base_swap(&image, &old, &old, &swapped, &err));
	CHECK_CONTAINS(buf_text(&swapped.config),
		"\"history\":[{\"created_by\":\"unknown\"},{\"created_by\":\"unknown\"}]");
}

TEST(a_history_is_cut_behind_the_last_layer_and_what_belongs_to_it)
{
	scoped(json_free) struct json *history = NULL;
	struct error err = {0};

	CHECK_OK(json_parse(str_literal("[{\"empty_layer\":true},{},{\"empty_layer\":true},{},{}]"),
		"x", NULL, &history, &err));
	CHECK_INT(history_length(history, 1), 3);
	CHECK_INT(history_length(history, 2), 4);
	CHECK_INT(history_length(history, 3), 5);
	CHECK_INT(history_length(history, 4), 0); /* it has three */
}

TEST_MAIN()
