#include "tests/test.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/image/artifact.h"
#include "builders/image/plain_artifact.h"

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

/* "{}" and what it is named by. */
#define EMPTY "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define SUBJECT                                                                                    \
	"\"subject\":{\"mediaType\":\"" MEDIA_TYPE_MANIFEST "\",\"digest\":\"" EMPTY               \
	"\",\"size\":2}"

/* With spaces and a note, as another tool may write it. */
static const char bill[] =
	"{\"schemaVersion\": 2, \"mediaType\": \"" MEDIA_TYPE_MANIFEST
	"\", \"artifactType\": \"text/bill\","
	"\"config\":{\"mediaType\":\"" MEDIA_TYPE_EMPTY "\",\"digest\":\"" EMPTY "\",\"size\":2,"
	"\"data\":\"e30=\"},\"layers\":[]," SUBJECT ",\"annotations\":{\"a\":\"b\"}}";

TEST(a_plain_form_is_an_image_without_a_type)
{
	scoped(buf_free) struct buf plain = {0};
	scoped(json_free) struct json *form = NULL;
	struct error err = {0};

	CHECK(plain_artifact_write(str_of(bill), &plain));
	REQUIRE_OK(json_parse(buf_str(&plain), "the plain form", NULL, &form, &err));
	CHECK(!json_get(form, "artifactType"));
	scoped(buf_free) struct buf config = {0}, subject = {0};
	json_write(json_get(form, "config"), &config);
	CHECK_TEXT(buf_text(&config),
		"{\"mediaType\":\"" MEDIA_TYPE_CONFIG "\",\"digest\":\"" EMPTY "\",\"size\":2}");
	json_write(json_get(form, "subject"), &subject);
	CHECK_TEXT(buf_text(&subject),
		"{\"mediaType\":\"" MEDIA_TYPE_MANIFEST "\",\"digest\":\"" EMPTY "\",\"size\":2}");
	const struct json *notes = json_get(form, "annotations");
	CHECK_TEXT(json_get_text(notes, "a", ""), "b");
	CHECK_TEXT(plain_artifact_inner(notes), bill);
}

TEST(what_is_plain_has_no_plainer_form)
{
	scoped(buf_free) struct buf once = {0}, twice = {0};

	CHECK(plain_artifact_write(str_of(bill), &once));
	CHECK(!plain_artifact_write(buf_str(&once), &twice));
	CHECK(!plain_artifact_write(str_of("{\"config\":{\"mediaType\":\"" MEDIA_TYPE_CONFIG
					   "\"}}"),
		&twice));
	CHECK(!plain_artifact_write(str_of("{\"mediaType\":\"" MEDIA_TYPE_INDEX
					   "\",\"manifests\":[]}"),
		&twice));
	CHECK(!plain_artifact_write(str_of("<html>"), &twice));
	CHECK_INT(twice.size, 0);
}

/* What a registry lists when it has text: the manifest's digest, configuration type and annotations. */
static bool list_of(struct str text, struct artifact_list *out)
{
	scoped(json_free) struct json *manifest = NULL;
	scoped(buf_free) struct buf list = {0};
	struct digest digest = digest_of_str(text);
	struct error err = {0};
	char name[DIGEST_TEXT_SIZE];

	digest_to_text(&digest, name);
	if (!json_parse(text, "a manifest", NULL, &manifest, &err))
		return false;
	buf_printf(&list,
		"{\"manifests\":[{\"mediaType\":\"" MEDIA_TYPE_MANIFEST
		"\",\"digest\":\"%s\",\"size\":%zu,\"artifactType\":\"" MEDIA_TYPE_CONFIG
		"\",\"annotations\":",
		name, text.size);
	json_write(json_get(manifest, "annotations"), &list);
	buf_append_text(&list, "}]}");
	return artifact_list_parse(buf_str(&list), "the list", out, &err);
}

TEST(a_listed_plain_form_counts_as_what_it_holds)
{
	scoped(buf_free) struct buf plain = {0};
	scoped(artifact_list_free) struct artifact_list list = {0};
	scoped(artifact_entry_free) struct artifact_entry restored = {0};
	struct digest real = digest_of_str(str_of(bill));
	struct error err = {0};

	CHECK(plain_artifact_write(str_of(bill), &plain));
	struct digest stored = digest_of_str(buf_str(&plain));
	REQUIRE(list_of(buf_str(&plain), &list));
	REQUIRE(list.count == 1);
	CHECK_TEXT(list.items[0].artifact_type, "text/bill");
	CHECK(digest_equal(&list.items[0].manifest.digest, &stored));
	CHECK(artifact_list_find(&list, &stored) == &list.items[0]);
	CHECK(artifact_list_find(&list, &real) == &list.items[0]);
	REQUIRE_OK(artifact_restore(&list.items[0], &restored, &err));
	CHECK(digest_equal(&restored.manifest.digest, &real));
	CHECK_INT(restored.manifest.size_bytes, sizeof(bill) - 1);
	CHECK_TEXT(restored.artifact_type, "text/bill");

	/* Listed again it is what the registry has, with the type that the specification says. */
	scoped(json_free) struct json *again = artifact_descriptor(&list.items[0]);
	CHECK_TEXT(json_get_text(again, "artifactType", ""), MEDIA_TYPE_CONFIG);
	CHECK_TEXT(plain_artifact_inner(json_get(again, "annotations")), bill);
}

TEST(an_annotation_that_holds_no_referrer_is_one_like_any_other)
{
	static const char *const texts[] = {
		"{\"annotations\":{\"dev.dogshore.manifest\":\"<html>\"}}",
		"{\"annotations\":{\"dev.dogshore.manifest\":\"{}\"}}",
		"{\"annotations\":{\"dev.dogshore.manifest\":7}}",
		"{\"annotations\":{\"dev.dogshore.manifest\":\"{\\\"subject\\\":{}}\"}}",
	};

	for (size_t i = 0; i < countof(texts); i++) {
		scoped(artifact_list_free) struct artifact_list list = {0};

		REQUIRE(list_of(str_of(texts[i]), &list));
		REQUIRE(list.count == 1);
		CHECK_TEXT(list.items[0].artifact_type, MEDIA_TYPE_CONFIG);
		CHECK(!list.items[0].inner);
	}
}

TEST_MAIN()
