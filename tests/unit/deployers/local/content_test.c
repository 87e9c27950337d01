#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/content.h"
#include "deployers/local/registry_api.h"
#include "deployers/local/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool open_stores(struct cloud *cloud)
{
	scoped(text_free) char *path = path_join(cloud->state, "store.db");
	struct error err = {0};
	bool ok =
		store_open(path, &cloud->store, &err) && content_open(cloud, &cloud->content, &err);

	if (!ok)
		error_print(stderr, &err, true);
	error_free(&err);
	return ok;
}

static void close_stores(struct cloud *cloud)
{
	content_close(&cloud->content);
	store_close(&cloud->store);
}

static void cloud_open(struct cloud *cloud, struct clock *clock)
{
	struct error err = {0};

	*cloud = (struct cloud){.clock = clock,
		.host = memory_copy_text("127.0.0.1"),
		.port = 4566,
		.account = memory_copy_text("000000000000"),
		.region = memory_copy_text("us-east-1")};
	if (!folder_make_temporary(NULL, "content", &cloud->state, &err) || !open_stores(cloud) ||
		!store_put(cloud->store, "ecr.repository", "app/rooms", json_object_new(), &err) ||
		!store_put(cloud->store, "ecr.repository", "app/other", json_object_new(), &err))
		abort();
}

static void cloud_close(struct cloud *cloud)
{
	struct error err = {0};

	close_stores(cloud);
	if (!folder_remove(cloud->state, &err))
		abort();
	free(cloud->state);
	free(cloud->host);
	free(cloud->account);
	free(cloud->region);
}

static struct digest put_blob(struct cloud *cloud, const char *repository, const char *text)
{
	scoped(new_blob_discard) struct new_blob blob = {0};
	struct digest digest = {{0}};
	struct error err = {0};

	if (!new_blob_create(cloud->content, &blob, &err) ||
		!new_blob_append(&blob, text, strlen(text), &err) ||
		!new_blob_commit(cloud->content, &blob, repository, NULL, &digest, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	return digest;
}

/* An image manifest with an empty config "{}" and one layer. */
static char *manifest_of(const char *layer)
{
	char config[DIGEST_TEXT_SIZE], text[DIGEST_TEXT_SIZE];
	struct digest a = digest_of_str(str_literal("{}")), b = digest_of_str(str_of(layer));

	digest_to_text(&a, config);
	digest_to_text(&b, text);
	return memory_format("{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":2},"
			     "\"layers\":[{\"digest\":\"%s\",\"size\":%zu}]}",
		config, text, strlen(layer));
}

TEST(a_blob_is_there_whole_or_not_at_all)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(new_blob_discard) struct new_blob blob = {0};
	scoped(text_free) char *path = NULL;
	struct digest wanted = digest_of_str(str_literal("hello")), digest;
	struct error err = {0};
	int64_t size = 0;

	cloud_open(&cloud, &system_clock);
	REQUIRE_OK(new_blob_create(cloud.content, &blob, &err));
	REQUIRE_OK(new_blob_append(&blob, "hel", 3, &err));
	CHECK(!content_has_blob(cloud.content, "app/rooms", &wanted, NULL));
	REQUIRE_OK(new_blob_append(&blob, "lo", 2, &err));
	REQUIRE_OK(new_blob_commit(cloud.content, &blob, "app/rooms", &wanted, &digest, &err));
	CHECK(content_has_blob(cloud.content, "app/rooms", &wanted, &size));
	CHECK_INT(size, 5);
	CHECK(!content_has_blob(cloud.content, "app/other", &wanted, NULL));
	REQUIRE_OK(content_link_blob(cloud.content, "app/other", &wanted, &err));
	CHECK(content_has_blob(cloud.content, "app/other", &wanted, NULL));

	REQUIRE_OK(new_blob_create(cloud.content, &blob, &err));
	REQUIRE_OK(new_blob_append(&blob, "other", 5, &err));
	CHECK_FAILS(new_blob_commit(cloud.content, &blob, "app/rooms", &wanted, &digest, &err),
		ERROR_INVALID);

	/* the machine lost power: the file is shorter than the store says */
	REQUIRE_OK(content_blob_path(cloud.content, &wanted, &path, &err));
	REQUIRE(truncate(path, 3) == 0);
	CHECK(!content_has_blob(cloud.content, "app/rooms", &wanted, NULL));
	put_blob(&cloud, "app/rooms", "hello");
	CHECK(content_has_blob(cloud.content, "app/rooms", &wanted, NULL));
}

TEST(a_manifest_is_refused_while_something_it_names_is_missing)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer");
	struct digest digest;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	put_blob(&cloud, "app/rooms", "{}");
	CHECK_FAILS(content_put_manifest(cloud.content, "app/rooms", "v1", NULL, str_of(manifest),
			    &digest, &err),
		ERROR_NOT_FOUND);
	put_blob(&cloud, "app/other", "layer");
	CHECK_FAILS(content_put_manifest(cloud.content, "app/rooms", "v1", NULL, str_of(manifest),
			    &digest, &err),
		ERROR_NOT_FOUND);
	put_blob(&cloud, "app/rooms", "layer");
	REQUIRE_OK(content_put_manifest(cloud.content, "app/rooms", "v1", NULL, str_of(manifest),
		&digest, &err));
	CHECK(content_image(cloud.content, "app/rooms", "v1") != NULL);
	CHECK(content_image(cloud.content, "app/rooms", "v2") == NULL);
	CHECK_INT(json_get_int(content_image(cloud.content, "app/rooms", "v1"), "imageSizeInBytes",
			  0),
		(int64_t)strlen(manifest) + 2 + 5);
}

TEST(manifests_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"schemaVersion\":1,\"layers\":[]}",
		"{\"schemaVersion\":2,\"layers\":[]}",
		"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:x\",\"size\":1}]}",
		"{\"schemaVersion\":2,\"manifests\":[{\"size\":1}]}"};
	scoped(cloud_close) struct cloud cloud = {0};
	struct digest digest;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	for (size_t i = 0; i < countof(bad); i++)
		CHECK_FAILS(content_put_manifest(cloud.content, "app/rooms", NULL, NULL,
				    str_of(bad[i]), &digest, &err),
			ERROR_INVALID);
}

TEST(references_are_resolved_by_digest_tag_and_platform)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer"), *index = NULL, *by_digest = NULL;
	char text[DIGEST_TEXT_SIZE];
	struct digest image, digest;
	struct json *found = NULL;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "layer");
	REQUIRE_OK(content_put_manifest(cloud.content, "app/rooms", NULL, NULL, str_of(manifest),
		&image, &err));
	digest_to_text(&image, text);
	index = memory_format("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"size\":%zu,"
			      "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		text, strlen(manifest),
#ifdef __aarch64__
		"arm64"
#else
		"amd64"
#endif
	);
	REQUIRE_OK(content_put_manifest(cloud.content, "app/rooms", "latest", NULL, str_of(index),
		&digest, &err));
	by_digest = memory_format("127.0.0.1:4566/app/rooms:any@%s", text);
	const char *const good[] = {by_digest, "127.0.0.1:4566/app/rooms",
		"localhost:4566/app/rooms:latest",
		"000000000000.dkr.ecr.us-east-1.amazonaws.com/app/rooms:latest"};

	for (size_t i = 0; i < countof(good); i++) {
		CHECK_OK(content_resolve(cloud.content, good[i], &digest, &found, &err));
		CHECK(digest_equal(&digest, &image));
		CHECK_INT(json_count(json_get(found, "layers")), 1);
		json_free(&found);
	}
	CHECK_FAILS(content_resolve(cloud.content, "127.0.0.1:4566/app/rooms:v9", &digest, &found,
			    &err),
		ERROR_NOT_FOUND);
	CHECK_FAILS(content_resolve(cloud.content, "127.0.0.1:4566/app/none", &digest, &found,
			    &err),
		ERROR_NOT_FOUND);
	CHECK_FAILS(content_resolve(cloud.content, "docker.io/library/nginx", &digest, &found,
			    &err),
		ERROR_INVALID);
	CHECK_FAILS(content_resolve(cloud.content, "nginx", &digest, &found, &err), ERROR_INVALID);
	CHECK_FAILS(content_resolve(cloud.content, "", &digest, &found, &err), ERROR_INVALID);
}

TEST(an_immutable_tag_stays_and_an_image_goes_with_its_last_tag)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *one = manifest_of("one"), *two = manifest_of("two");
	struct digest digest;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	REQUIRE_OK(store_put(cloud.store, "ecr.repository", "app/rooms",
		json_object_of("imageTagMutability", json_text_new("IMMUTABLE"), NULL), &err));
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "one");
	put_blob(&cloud, "app/rooms", "two");
	REQUIRE_OK(content_put_manifest(cloud.content, "app/rooms", "v1", NULL, str_of(one),
		&digest, &err));
	CHECK_FAILS(content_put_manifest(cloud.content, "app/rooms", "v1", NULL, str_of(two),
			    &digest, &err),
		ERROR_CONFLICT);
	REQUIRE_OK(content_put_manifest(cloud.content, "app/rooms", "v2", NULL, str_of(one),
		&digest, &err));
	REQUIRE_OK(content_remove_tag(cloud.content, "app/rooms", "v1", &err));
	CHECK(content_image(cloud.content, "app/rooms", "v2") != NULL);
	REQUIRE_OK(content_remove_tag(cloud.content, "app/rooms", "v2", &err));
	CHECK(content_image(cloud.content, "app/rooms", "v2") == NULL);
}

TEST(what_no_image_needs_goes_a_day_later)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("needed");
	struct digest needed = digest_of_str(str_literal("needed")), stray, image;
	struct test_clock clock;
	struct error err = {0};

	test_clock_init(&clock, clock_now(&system_clock));
	cloud_open(&cloud, &clock.clock);
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "needed");
	stray = put_blob(&cloud, "app/rooms", "stray");
	REQUIRE_OK(content_put_manifest(cloud.content, "app/rooms", "v1", NULL, str_of(manifest),
		&image, &err));
	close_stores(&cloud);
	REQUIRE(open_stores(&cloud));
	CHECK(content_has_blob(cloud.content, "app/rooms", &stray, NULL));
	close_stores(&cloud);
	clock.time_ms += (int64_t)25 * 3600 * 1000;
	REQUIRE(open_stores(&cloud));
	CHECK(!content_has_blob(cloud.content, "app/rooms", &stray, NULL));
	CHECK(content_has_blob(cloud.content, "app/rooms", &needed, NULL));
	CHECK(content_has_blob(cloud.content, "app/rooms", &image, NULL));
}

TEST(names_of_repositories_and_tags_are_those_of_the_specification)
{
	CHECK(content_repository_name_valid(str_of("booking/rooms")));
	CHECK(content_repository_name_valid(str_of("a-b__c.d/e--f_g")));
	CHECK(!content_repository_name_valid(str_of("a")));
	CHECK(!content_repository_name_valid(str_of("Booking")));
	CHECK(!content_repository_name_valid(str_of("a//b")));
	CHECK(!content_repository_name_valid(str_of("a/")));
	CHECK(!content_repository_name_valid(str_of("../etc")));
	CHECK(!content_repository_name_valid(str_of("a..b")));
	CHECK(!content_repository_name_valid(str_of("a___b")));
	CHECK(content_tag_valid(str_of("v1.0_x-Y")));
	CHECK(!content_tag_valid(str_of(".x")));
	CHECK(!content_tag_valid(str_of("")));
	CHECK(!content_tag_valid(str_of("a:b")));
}

TEST(paths_of_the_registry_are_cut_from_their_end)
{
	struct registry_path path =
		registry_path_parse(str_of("/v2/a/blobs/uploads/x/manifests/v1"));

	CHECK_INT(path.what, REGISTRY_MANIFEST);
	CHECK(str_equal_text(path.repository, "a/blobs/uploads/x"));
	CHECK(str_equal_text(path.reference, "v1"));
	path = registry_path_parse(str_of("/v2/a/b/blobs/uploads/"));
	CHECK_INT(path.what, REGISTRY_UPLOADS);
	CHECK(str_equal_text(path.repository, "a/b"));
	CHECK_INT(registry_path_parse(str_of("/v2/a/blobs/uploads/id")).what, REGISTRY_UPLOAD);
	CHECK_INT(registry_path_parse(str_of("/v2/a/blobs/sha256:x")).what, REGISTRY_BLOB);
	CHECK_INT(registry_path_parse(str_of("/v2/a/tags/list")).what, REGISTRY_TAGS);
	CHECK_INT(registry_path_parse(str_of("/v2/a/referrers/sha256:x")).what, REGISTRY_REFERRERS);
	CHECK_INT(registry_path_parse(str_of("/v2/")).what, REGISTRY_ROOT);
	CHECK_INT(registry_path_parse(str_of("/v2/a")).what, REGISTRY_NOTHING);
	CHECK_INT(registry_path_parse(str_of("/v3/a/tags/list")).what, REGISTRY_NOTHING);
}

TEST_MAIN()
