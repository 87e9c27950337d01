#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/registry/reference.h"
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

struct name {
	char text[DIGEST_NAME_SIZE];
};

static struct name name_of(const char *bytes)
{
	struct name name;

	digest_name_of(DIGEST_SHA256, str_of(bytes), name.text);
	return name;
}

static struct name put_blob(struct cloud *cloud, const char *repository, const char *text)
{
	scoped(new_blob_discard) struct new_blob blob = {0};
	struct name name = {{0}};
	struct error err = {0};

	if (!new_blob_create(cloud->content, NULL, &blob, &err) ||
		!new_blob_append(&blob, text, strlen(text), &err) ||
		!new_blob_commit(cloud->content, &blob, repository, NULL, name.text, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	return name;
}

static bool put_manifest(struct cloud *cloud, const char *tag, const char *bytes,
	struct name *out_name, struct error *err)
{
	const struct manifest_put put = {.repository = "app/rooms",
		.tag = tag,
		.bytes = str_of(bytes)};

	return content_put_manifest(cloud->content, &put, out_name->text, err);
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
	struct name wanted = name_of("hello"), name;
	struct error err = {0};
	int64_t size = 0;

	cloud_open(&cloud, &system_clock);
	REQUIRE_OK(new_blob_create(cloud.content, NULL, &blob, &err));
	REQUIRE_OK(new_blob_append(&blob, "hel", 3, &err));
	CHECK(!content_has_blob(cloud.content, "app/rooms", wanted.text, NULL));
	REQUIRE_OK(new_blob_append(&blob, "lo", 2, &err));
	REQUIRE_OK(
		new_blob_commit(cloud.content, &blob, "app/rooms", wanted.text, name.text, &err));
	CHECK(content_has_blob(cloud.content, "app/rooms", wanted.text, &size));
	CHECK_INT(size, 5);
	CHECK(!content_has_blob(cloud.content, "app/other", wanted.text, NULL));
	REQUIRE_OK(content_link_blob(cloud.content, "app/other", wanted.text, &err));
	CHECK(content_has_blob(cloud.content, "app/other", wanted.text, NULL));

	REQUIRE_OK(new_blob_create(cloud.content, NULL, &blob, &err));
	REQUIRE_OK(new_blob_append(&blob, "other", 5, &err));
	CHECK_FAILS(new_blob_commit(cloud.content, &blob, "app/rooms", wanted.text, name.text,
			    &err),
		ERROR_INVALID);

	/* the machine lost power: the file is shorter than the store says */
	REQUIRE_OK(content_blob_file(cloud.content, wanted.text, &path, &err));
	REQUIRE(truncate(path, 3) == 0);
	CHECK(!content_has_blob(cloud.content, "app/rooms", wanted.text, NULL));
	put_blob(&cloud, "app/rooms", "hello");
	CHECK(content_has_blob(cloud.content, "app/rooms", wanted.text, NULL));
}

TEST(a_manifest_is_refused_while_something_it_names_is_missing)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer");
	struct name digest;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	put_blob(&cloud, "app/rooms", "{}");
	CHECK_FAILS(put_manifest(&cloud, "v1", manifest, &digest, &err), ERROR_NOT_FOUND);
	put_blob(&cloud, "app/other", "layer");
	CHECK_FAILS(put_manifest(&cloud, "v1", manifest, &digest, &err), ERROR_NOT_FOUND);
	put_blob(&cloud, "app/rooms", "layer");
	REQUIRE_OK(put_manifest(&cloud, "v1", manifest, &digest, &err));
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
	struct name digest;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	for (size_t i = 0; i < countof(bad); i++)
		CHECK_FAILS(put_manifest(&cloud, NULL, bad[i], &digest, &err), ERROR_INVALID);
}

TEST(references_are_resolved_by_digest_tag_and_platform)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer"), *index = NULL, *by_digest = NULL;
	struct name image, name;
	struct digest digest;
	struct json *found = NULL;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "layer");
	REQUIRE_OK(put_manifest(&cloud, NULL, manifest, &image, &err));
	index = memory_format("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"size\":%zu,"
			      "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		image.text, strlen(manifest),
#ifdef __aarch64__
		"arm64"
#else
		"amd64"
#endif
	);
	REQUIRE_OK(put_manifest(&cloud, "latest", index, &name, &err));
	by_digest = memory_format("127.0.0.1:4566/app/rooms:any@%s", image.text);
	const char *const good[] = {by_digest, "127.0.0.1:4566/app/rooms",
		"localhost:4566/app/rooms:latest",
		"000000000000.dkr.ecr.us-east-1.amazonaws.com/app/rooms:latest"};

	for (size_t i = 0; i < countof(good); i++) {
		CHECK_OK(content_resolve(cloud.content, good[i], &digest, &found, &err));
		digest_to_text(&digest, name.text);
		CHECK_TEXT(name.text, image.text);
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
	struct name digest;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	REQUIRE_OK(store_put(cloud.store, "ecr.repository", "app/rooms",
		json_object_of("imageTagMutability", json_text_new("IMMUTABLE"), NULL), &err));
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "one");
	put_blob(&cloud, "app/rooms", "two");
	REQUIRE_OK(put_manifest(&cloud, "v1", one, &digest, &err));
	CHECK_FAILS(put_manifest(&cloud, "v1", two, &digest, &err), ERROR_CONFLICT);
	REQUIRE_OK(put_manifest(&cloud, "v2", one, &digest, &err));
	REQUIRE_OK(content_remove_tag(cloud.content, "app/rooms", "v1", &err));
	CHECK(content_image(cloud.content, "app/rooms", "v2") != NULL);
	REQUIRE_OK(content_remove_tag(cloud.content, "app/rooms", "v2", &err));
	CHECK(content_image(cloud.content, "app/rooms", "v2") == NULL);
}

TEST(what_no_image_needs_goes_a_day_later)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("needed");
	struct name needed = name_of("needed"), stray, image, longer;
	struct test_clock clock;
	struct error err = {0};

	test_clock_init(&clock, clock_now(&system_clock));
	cloud_open(&cloud, &clock.clock);
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "needed");
	stray = put_blob(&cloud, "app/rooms", "stray");
	REQUIRE_OK(put_manifest(&cloud, "v1", manifest, &image, &err));
	REQUIRE_OK(content_put_manifest(cloud.content,
		&(struct manifest_put){.repository = "app/rooms",
			.kind = DIGEST_SHA512,
			.bytes = str_of(manifest)},
		longer.text, &err));
	close_stores(&cloud);
	REQUIRE(open_stores(&cloud));
	CHECK(content_has_blob(cloud.content, "app/rooms", stray.text, NULL));
	close_stores(&cloud);
	clock.time_ms += (int64_t)25 * 3600 * 1000;
	REQUIRE(open_stores(&cloud));
	CHECK(!content_has_blob(cloud.content, "app/rooms", stray.text, NULL));
	CHECK(content_has_blob(cloud.content, "app/rooms", needed.text, NULL));
	CHECK(content_has_blob(cloud.content, "app/rooms", image.text, NULL));
	CHECK(content_has_blob(cloud.content, "app/rooms", longer.text, NULL));
}

/* AWS: IMMUTABLE_WITH_EXCLUSION leaves tags that match a filter mutable. */
TEST(tags_that_are_left_out_of_immutability_move)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *one = manifest_of("one"), *two = manifest_of("two");
	struct json *filters = json_array_new();
	struct name name;
	struct error err = {0};

	json_append(filters, json_object_of("filterType", json_text_new("WILDCARD"), "filter",
				     json_text_new("dev-*"), NULL));
	cloud_open(&cloud, &system_clock);
	REQUIRE_OK(store_put(cloud.store, "ecr.repository", "app/rooms",
		json_object_of("imageTagMutability", json_text_new("IMMUTABLE_WITH_EXCLUSION"),
			"imageTagMutabilityExclusionFilters", filters, NULL),
		&err));
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "one");
	put_blob(&cloud, "app/rooms", "two");
	REQUIRE_OK(put_manifest(&cloud, "dev-1", one, &name, &err));
	CHECK_OK(put_manifest(&cloud, "dev-1", two, &name, &err));
	REQUIRE_OK(put_manifest(&cloud, "v1", one, &name, &err));
	CHECK_FAILS(put_manifest(&cloud, "v1", two, &name, &err), ERROR_CONFLICT);
}

TEST(a_manifest_that_misses_blobs_names_all_of_them)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer");
	scoped(strings_free) struct strings missing = {0};
	struct name config = name_of("{}"), layer = name_of("layer"), name;
	const struct manifest_put put = {.repository = "app/rooms",
		.bytes = str_of(manifest),
		.missing = &missing};
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	CHECK_FAILS(content_put_manifest(cloud.content, &put, name.text, &err), ERROR_NOT_FOUND);
	REQUIRE(missing.count == 2);
	CHECK_TEXT(missing.items[0], config.text);
	CHECK_TEXT(missing.items[1], layer.text);
}

/* Promotion: the other repository shows the same file. Counted: files and their inode. */
TEST(promotion_to_another_repository_moves_no_bytes)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer"), *folder = NULL, *path = NULL;
	scoped(strings_free) struct strings before = {0}, after = {0};
	struct name config = name_of("{}"), layer = name_of("layer"), name;
	struct stat old, now;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "layer");
	REQUIRE_OK(put_manifest(&cloud, "v1", manifest, &name, &err));
	folder = path_join(cloud.state, "content/blobs/sha256");
	REQUIRE_OK(folder_list(folder, &before, &err));
	REQUIRE_OK(content_blob_file(cloud.content, layer.text, &path, &err));
	REQUIRE(stat(path, &old) == 0);

	const struct manifest_put put = {.repository = "app/other",
		.tag = "v1",
		.bytes = str_of(manifest)};

	CHECK_FAILS(content_put_manifest(cloud.content, &put, name.text, &err), ERROR_NOT_FOUND);
	REQUIRE_OK(content_link_blob(cloud.content, "app/other", config.text, &err));
	REQUIRE_OK(content_link_blob(cloud.content, "app/other", layer.text, &err));
	REQUIRE_OK(content_put_manifest(cloud.content, &put, name.text, &err));
	REQUIRE_OK(folder_list(folder, &after, &err));
	CHECK_INT(before.count, 3); /* config, layer, manifest */
	CHECK_INT(after.count, 3);
	REQUIRE(stat(path, &now) == 0);
	CHECK_INT(now.st_ino, old.st_ino);
	CHECK_INT(now.st_mtim.tv_nsec, old.st_mtim.tv_nsec);
}

TEST(a_blob_can_be_unlinked_while_no_image_needs_it)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *manifest = manifest_of("layer");
	struct name layer = name_of("layer"), stray, name;
	struct error err = {0};

	cloud_open(&cloud, &system_clock);
	put_blob(&cloud, "app/rooms", "{}");
	put_blob(&cloud, "app/rooms", "layer");
	stray = put_blob(&cloud, "app/rooms", "stray");
	REQUIRE_OK(put_manifest(&cloud, "v1", manifest, &name, &err));
	CHECK_FAILS(content_unlink_blob(cloud.content, "app/rooms", layer.text, &err),
		ERROR_CONFLICT);
	CHECK_OK(content_unlink_blob(cloud.content, "app/rooms", stray.text, &err));
	CHECK(!content_has_blob(cloud.content, "app/rooms", stray.text, NULL));
	CHECK_FAILS(content_unlink_blob(cloud.content, "app/rooms", stray.text, &err),
		ERROR_NOT_FOUND);
}

/* Who was told a day later that a blob is there may rely on it. */
TEST(a_blob_that_was_asked_for_stays_another_day)
{
	scoped(cloud_close) struct cloud cloud = {0};
	struct name asked, forgotten;
	struct test_clock clock;
	struct error err = {0};

	test_clock_init(&clock, clock_now(&system_clock));
	cloud_open(&cloud, &clock.clock);
	asked = put_blob(&cloud, "app/rooms", "asked");
	forgotten = put_blob(&cloud, "app/rooms", "forgotten");
	clock.time_ms += (int64_t)23 * 3600 * 1000;
	content_touch_blob(cloud.content, "app/rooms", asked.text);
	clock.time_ms += (int64_t)2 * 3600 * 1000;
	REQUIRE_OK(content_collect(cloud.content, &err));
	CHECK(content_has_blob(cloud.content, "app/rooms", asked.text, NULL));
	CHECK(!content_has_blob(cloud.content, "app/rooms", forgotten.text, NULL));
}

/* Times of files are the machine's own, so the clock goes ahead instead. */
TEST(an_unfinished_upload_goes_an_hour_later_and_can_be_opened_again_before)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(new_blob_discard) struct new_blob blob = {0}, again = {0};
	struct test_clock clock;
	struct error err = {0};

	test_clock_init(&clock, clock_now(&system_clock));
	cloud_open(&cloud, &clock.clock);
	REQUIRE_OK(new_blob_create(cloud.content, "upload", &blob, &err));
	REQUIRE_OK(new_blob_append(&blob, "half", 4, &err));
	clock.time_ms += (int64_t)50 * 60 * 1000;
	REQUIRE_OK(content_collect(cloud.content, &err));
	REQUIRE_OK(new_blob_reopen(cloud.content, "upload", &again, &err));
	CHECK_INT(again.size_bytes, 4);
	text_free(&again.temporary); /* it stays the first one's */
	new_blob_discard(&again);
	clock.time_ms += (int64_t)20 * 60 * 1000;
	REQUIRE_OK(content_collect(cloud.content, &err));
	CHECK_FAILS(new_blob_reopen(cloud.content, "upload", &again, &err), ERROR_NOT_FOUND);
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
	CHECK(reference_tag_valid(str_of("v1.0_x-Y")));
	CHECK(!reference_tag_valid(str_of(".x")));
	CHECK(!reference_tag_valid(str_of("")));
	CHECK(!reference_tag_valid(str_of("a:b")));
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
