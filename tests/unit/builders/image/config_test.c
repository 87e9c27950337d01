#include "tests/test.h"

#include "base/memory.h"
#include "builders/image/config.h"

#define ZERO "sha256:0000000000000000000000000000000000000000000000000000000000000000"

TEST(the_configuration_is_the_same_bytes_for_the_same_image)
{
	scoped(strings_free) struct strings env = {0}, labels = {0}, args = {0};
	scoped(buf_free) struct buf out = {0};
	struct layer layer = {.kind = LAYER_BASE, .entry_count = 1};

	strings_add(&env, "A=1");
	strings_add(&labels, "z=last");
	strings_add(&labels, "a=x=y");
	strings_add(&args, "--fast");
	config_write(&(struct image_config){.architecture = "arm64",
			     .user = "65532",
			     .entrypoint = "/app/rooms",
			     .args = &args,
			     .env = &env,
			     .labels = &labels,
			     .port = 8080,
			     .created_s = 1700000000},
		&layer, 1, &out);
	/* 1700000000 s = 2023-11-14T22:13:20Z */
	CHECK_TEXT(buf_text(&out),
		"{\"created\":\"2023-11-14T22:13:20Z\",\"architecture\":\"arm64\",\"os\":\"linux\","
		"\"config\":{\"User\":\"65532\",\"ExposedPorts\":{\"8080/"
		"tcp\":{}},\"Env\":[\"A=1\"],"
		"\"Entrypoint\":[\"/app/rooms\"],\"Cmd\":[\"--fast\"],\"WorkingDir\":\"/\","
		"\"Labels\":{\"a\":\"x=y\",\"z\":\"last\"}},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" ZERO "\"]},"
		"\"history\":[{\"created\":\"2023-11-14T22:13:20Z\","
		"\"created_by\":\"dogshore image build: base\"}]}");
}

TEST(the_manifest_names_its_blobs)
{
	scoped(buf_free) struct buf out = {0};
	struct layer layer = {.kind = LAYER_BASE,
		.compression = COMPRESSION_GZIP,
		.entry_count = 1,
		.packed.size_bytes = 7};
	struct digest config = {{0}};

	manifest_write(&config, 3, &layer, 1, &out);
	CHECK_TEXT(buf_text(&out),
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/"
		"vnd.oci.image.config.v1+json\",\"digest\":\"" ZERO
		"\",\"size\":3},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" ZERO
		"\",\"size\":7}]}");

	scoped(manifest_free) struct manifest parsed = {0};
	struct error err = {0};
	REQUIRE_OK(manifest_parse(buf_str(&out), "application/vnd.oci.image.manifest.v1+json; x=y",
		"m", &parsed, &err));
	CHECK(!parsed.is_index);
	CHECK_INT(parsed.count, 1);
	CHECK_INT(parsed.items[0].size_bytes, 7);
	CHECK_INT(parsed.config.size_bytes, 3);
}

TEST(indexes_and_dockers_kinds_are_known)
{
	scoped(manifest_free) struct manifest index = {0}, docker = {0};
	struct error err = {0};

	REQUIRE_OK(manifest_parse(str_of("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" ZERO
					 "\",\"size\":1}]}"),
		NULL, "m", &index, &err));
	CHECK(index.is_index);
	CHECK_INT(index.count, 1);
	REQUIRE_OK(manifest_parse(str_of("{\"schemaVersion\":2,\"config\":{\"digest\":\"" ZERO
					 "\",\"size\":1},\"layers\":[]}"),
		MEDIA_TYPE_DOCKER_MANIFEST, "m", &docker, &err));
	CHECK_TEXT(docker.media_type, MEDIA_TYPE_DOCKER_MANIFEST);
}

TEST(manifests_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"schemaVersion\":1}",
		"{\"schemaVersion\":2}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" ZERO "\",\"size\":1}}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:12\",\"size\":1},\"layers\":["
		"]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" ZERO
		"\",\"size\":-1},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" ZERO
		"\",\"size\":\"1\"},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" ZERO
		"\",\"size\":1},\"layers\":{}}",
		"{\"schemaVersion\":2,\"mediaType\":\"text/plain\",\"manifests\":[]}",
		"{\"schemaVersion\":2,\"schemaVersion\":2,\"manifests\":[]}",
	};

	for (size_t i = 0; i < countof(bad); i++) {
		struct manifest manifest = {0};
		struct error err = {0};
		CHECK_FAILS(manifest_parse(str_of(bad[i]), NULL, "m", &manifest, &err),
			ERROR_INVALID);
	}
	struct manifest manifest = {0};
	struct error err = {0};
	/* It makes sense as either, so who reads it as one must not be told that it is the other. */
	CHECK_FAILS(manifest_parse(str_of("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_INDEX
					  "\",\"manifests\":[],\"layers\":[],\"config\":{"
					  "\"digest\":"
					  "\"" ZERO "\",\"size\":1}}"),
			    MEDIA_TYPE_MANIFEST, "m", &manifest, &err),
		ERROR_INVALID);
}

TEST(a_configuration_from_outside_is_read_as_far_as_it_goes)
{
	scoped(image_facts_free) struct image_facts facts = {0}, empty = {0};
	struct error err = {0};

	REQUIRE_OK(config_parse(
		str_of("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":7,"
		       "\"Env\":[\"A=1\",2],\"Entrypoint\":[\"/a\"],\"Labels\":{\"k\":\"v\"},"
		       "\"ExposedPorts\":{\"80/tcp\":{}}},\"rootfs\":{\"diff_ids\":[\"" ZERO
		       "\"]}}"),
		"c", &facts, &err));
	CHECK_TEXT(facts.architecture, "amd64");
	CHECK_TEXT(facts.user, "");
	CHECK_INT(facts.env.count, 1);
	CHECK_TEXT(facts.labels.items[0], "k=v");
	CHECK_TEXT(facts.ports.items[0], "80/tcp");
	CHECK_INT(facts.diff_id_count, 1);
	CHECK_OK(config_parse(str_of("{}"), "c", &empty, &err));
	CHECK_FAILS(config_parse(str_of("[1]"), "c", &empty, &err), ERROR_INVALID);
}

TEST_MAIN()
