#include "tests/test.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/image/artifact.h"

static char *new_folder(void)
{
	char *path = NULL;
	struct error err = {0};

	if (!folder_make_temporary(NULL, "artifact-", &path, &err))
		error_free(&err);
	return path;
}

static void remove_folder(char **path)
{
	struct error err = {0};

	if (*path && !folder_remove(*path, &err))
		error_free(&err);
	text_free(path);
}

static bool add(const struct layout *layout, const struct layout_entry *subject, const char *type,
	const char *content, struct layout_entry *out)
{
	scoped(strings_free) struct strings notes = {0};
	struct error err = {0};
	struct artifact_blob blob = {.media_type = type, .content = str_of(content)};

	strings_add(&notes, "org.example.by=a test");
	bool ok = artifact_add(layout,
		&(struct artifact){.artifact_type = type,
			.subject = *subject,
			.blobs = &blob,
			.blob_count = 1,
			.annotations = &notes},
		out, &err);
	error_free(&err);
	return ok;
}

static struct layout_entry subject_of(const char *text)
{
	struct layout_entry entry = {.media_type = MEDIA_TYPE_MANIFEST,
		.size_bytes = (int64_t)strlen(text)};

	entry.digest = digest_of_str(str_of(text));
	return entry;
}

TEST(a_referrer_has_the_form_of_the_image_specification)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(layout_free) struct layout layout = {0};
	scoped(buf_free) struct buf text = {0};
	struct layout_entry image = subject_of("image"), entry = {0};
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	REQUIRE(add(&layout, &image, "text/x-note", "hello", &entry));
	REQUIRE_OK(layout_read_blob(&layout, &entry.digest, MANIFEST_LIMIT, &text, &err));
	/* image-spec 1.1 manifest.md, "Guidelines for Artifact Usage" with empty config; sha256 of
	 * "{}", "hello" and "image" by sha256sum. */
	CHECK_TEXT(buf_text(&text),
		"{\"schemaVersion\":2,"
		"\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"artifactType\":\"text/x-note\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":"
		"\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\","
		"\"size\":2},"
		"\"layers\":[{\"mediaType\":\"text/x-note\",\"digest\":"
		"\"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\","
		"\"size\":5}],"
		"\"subject\":{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"digest\":"
		"\"sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d\","
		"\"size\":5},"
		"\"annotations\":{\"org.example.by\":\"a test\"}}");
}

TEST(referrers_are_listed_by_their_image_and_once)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(layout_free) struct layout layout = {0};
	scoped(artifact_list_free) struct artifact_list list = {0};
	struct layout_entry one = subject_of("one"), two = subject_of("two"), entry, same;
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	REQUIRE_OK(layout_set_tag(&layout, "1", &one, NULL, &err));
	REQUIRE(add(&layout, &one, "text/x-note", "about one", &entry));
	REQUIRE(add(&layout, &one, "text/x-note", "about one", &same));
	REQUIRE(add(&layout, &two, "text/x-note", "about two", &same));
	REQUIRE_OK(artifact_list_read(&layout, &one.digest, &list, &err));
	REQUIRE(list.count == 1);
	CHECK(digest_equal(&list.items[0].manifest.digest, &entry.digest));
	CHECK_TEXT(list.items[0].artifact_type, "text/x-note");
	CHECK_TEXT(json_get_text(list.items[0].annotations, "org.example.by", ""), "a test");
	CHECK_INT((long long)json_count(list.items[0].annotations), 1);
	/* Tags are what they were, and a referrer is none. */
	REQUIRE_OK(layout_find_tag(&layout, "1", &same, &err));
	CHECK_FAILS(layout_find_tag(&layout, "2", &same, &err), ERROR_NOT_FOUND);
}

TEST(a_referrer_of_another_tool_is_found_by_reading_it)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(text_free) char *index = path_join(path, "index.json");
	scoped(layout_free) struct layout layout = {0};
	scoped(artifact_list_free) struct artifact_list list = {0};
	scoped(buf_free) struct buf text = {0};
	struct layout_entry one = subject_of("one");
	struct digest digest;
	char name[DIGEST_TEXT_SIZE], subject[DIGEST_TEXT_SIZE];
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	digest_to_text(&one.digest, subject);
	/* As oras 1.1 writes it: no artifactType in the manifest, the config's type counts. */
	buf_printf(&text,
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"text/x-kind\",\"digest\":\"%s\","
		"\"size\":3},\"layers\":[],\"subject\":{\"digest\":\"%s\",\"size\":3,"
		"\"mediaType\":\"" MEDIA_TYPE_MANIFEST "\"},\"annotations\":{\"a\":\"b\"}}",
		subject, subject);
	REQUIRE_OK(layout_write_blob(&layout, buf_str(&text), &digest, &err));
	digest_to_text(&digest, name);
	scoped(text_free) char *written =
		memory_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
			      "\"" MEDIA_TYPE_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}]}",
			name, text.size);
	REQUIRE_OK(file_write(index, str_of(written), 0644, false, &err));
	REQUIRE_OK(artifact_list_read(&layout, &one.digest, &list, &err));
	REQUIRE(list.count == 1);
	CHECK_TEXT(list.items[0].artifact_type, "text/x-kind");
	CHECK_TEXT(json_get_text(list.items[0].annotations, "a", ""), "b");
}

TEST(a_registrys_list_is_read_with_its_notes)
{
	scoped(artifact_list_free) struct artifact_list list = {0};
	struct error err = {0};
	const char *text =
		"{\"schemaVersion\":2,\"manifests\":["
		"{\"mediaType\":\"m\",\"digest\":\"sha256:"
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,"
		"\"artifactType\":\"t\",\"annotations\":{\"k\":\"v\"}},"
		"{\"mediaType\":\"m\",\"digest\":\"sha512:00\",\"size\":2}]}";

	REQUIRE_OK(artifact_list_parse(str_of(text), "the list", &list, &err));
	REQUIRE(list.count == 1);
	CHECK_TEXT(list.items[0].artifact_type, "t");
	scoped(json_free) struct json *again = artifact_descriptor(&list.items[0]);
	scoped(buf_free) struct buf out = {0};
	json_write(again, &out);
	CHECK_TEXT(buf_text(&out),
		"{\"mediaType\":\"m\",\"digest\":\"sha256:"
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,"
		"\"artifactType\":\"t\",\"annotations\":{\"k\":\"v\"}}");
	CHECK_FAILS(artifact_list_parse(str_of("{\"manifests\":[{\"digest\":\"sha256:1\"}]}"),
			    "the list", &list, &err),
		ERROR_INVALID);
	CHECK_FAILS(artifact_list_parse(str_of("{}"), "the list", &list, &err), ERROR_INVALID);
}

TEST_MAIN()
