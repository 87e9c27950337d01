#include "builders/image/layout_prune.h"

#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX = DIGEST_HEX_SIZE - 1 };

struct pruning {
	const struct layout *layout;
	const struct strings *tags; /* borrowed: to be removed */
	struct json *index;         /* owned */
	struct strings images;      /* owned: hex digests of the manifests that stay */
	struct strings blobs;       /* owned: of all that they are made of */
	struct layout_pruned done;
};

static void pruning_free(struct pruning *pruning)
{
	json_free(&pruning->index);
	strings_free(&pruning->images);
	strings_free(&pruning->blobs);
}

/* The hex digits of a descriptor's digest; false when it has none that we know. */
static bool hex_of(const struct json *descriptor, char out[DIGEST_HEX_SIZE])
{
	struct digest digest;

	if (!digest_parse(json_str(json_get(descriptor, "digest")), &digest))
		return false;
	digest_to_hex(&digest, out);
	return true;
}

static void add_hex(struct strings *list, const char *hex)
{
	if (!strings_contain(list, hex))
		strings_add(list, hex);
}

static bool read_manifest(const struct layout *layout, const char *hex, struct json **out,
	struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *name = memory_format("sha256:%s", hex);
	struct digest digest;

	return digest_parse(str_of(name), &digest) &&
	       layout_read_blob(layout, &digest, MANIFEST_LIMIT, &text, err) &&
	       json_parse(buf_str(&text), name, NULL, out, err);
}

/* The image that a signature's tag names: "sha256-<hex>.sig", ".att", ".sbom". */
static bool signed_by_tag(const char *tag, char out[DIGEST_HEX_SIZE])
{
	static const char start[] = "sha256-";
	size_t hex =
		text_starts_with(tag, start) ? strspn(tag + strlen(start), "0123456789abcdef") : 0;

	if (hex != HEX || tag[strlen(start) + HEX] != '.')
		return false;
	memcpy(out, tag + strlen(start), HEX);
	out[HEX] = '\0';
	return true;
}

/* What a listed manifest refers to; "" when nothing. */
static bool subject_of(const struct pruning *pruning, const struct json *descriptor,
	const char *hex, char out[DIGEST_HEX_SIZE], struct error *err)
{
	scoped(json_free) struct json *manifest = NULL;

	out[0] = '\0';
	if (signed_by_tag(layout_tag_of(descriptor), out))
		return true;
	if (!read_manifest(pruning->layout, hex, &manifest, err))
		return false;
	if (!hex_of(json_get(manifest, "subject"), out))
		out[0] = '\0';
	return true;
}

static bool is_tagged(const struct json *descriptor)
{
	char subject[DIGEST_HEX_SIZE];
	const char *tag = layout_tag_of(descriptor);

	return *tag && !signed_by_tag(tag, subject);
}

/* Manifests that stay by themselves: those whose tags do, and what no tag or subject explains. */
static bool keep_images(struct pruning *pruning, struct error *err)
{
	const struct json *manifests = json_get(pruning->index, "manifests");

	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json *descriptor = json_at(manifests, i);
		char hex[DIGEST_HEX_SIZE], subject[DIGEST_HEX_SIZE] = "";
		bool tagged = is_tagged(descriptor);

		if (!hex_of(descriptor, hex))
			return error_raise(err, ERROR_INVALID,
				"the index of \"%s\" lists something without a sha256 digest",
				pruning->layout->path);
		if (tagged && strings_contain(pruning->tags, layout_tag_of(descriptor)))
			continue;
		if (!tagged && !subject_of(pruning, descriptor, hex, subject, err))
			return false;
		if (!*subject)
			add_hex(&pruning->images, hex);
		if (text_starts_with(layout_reasons_of(descriptor), "sha256:"))
			add_hex(&pruning->blobs, layout_reasons_of(descriptor) + 7);
	}
	return true;
}

/* What refers to what stays, stays. */
static bool keep_referrers(struct pruning *pruning, struct error *err)
{
	const struct json *manifests = json_get(pruning->index, "manifests");

	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json *descriptor = json_at(manifests, i);
		char hex[DIGEST_HEX_SIZE], subject[DIGEST_HEX_SIZE];

		if (is_tagged(descriptor) || !hex_of(descriptor, hex))
			continue;
		if (!subject_of(pruning, descriptor, hex, subject, err))
			return false;
		if (*subject && strings_contain(&pruning->images, subject))
			add_hex(&pruning->images, hex);
	}
	return true;
}

/* Takes the descriptors out of the index that name nothing which stays, or by a tag that goes. */
static void cut_index(struct pruning *pruning)
{
	struct json *manifests = json_get(pruning->index, "manifests");

	for (size_t i = json_count(manifests); i-- > 0;) {
		const struct json *descriptor = json_at(manifests, i);
		char hex[DIGEST_HEX_SIZE];
		bool goes = strings_contain(pruning->tags, layout_tag_of(descriptor));

		if (!goes && hex_of(descriptor, hex) && strings_contain(&pruning->images, hex))
			continue;
		pruning->done.tags += goes;
		json_remove_at(manifests, i);
	}
}

/* What a manifest is made of; the manifests of an index are images of their own. */
static bool keep_blobs(struct pruning *pruning, const char *hex, struct error *err)
{
	static const char *const lists[] = {"layers", "blobs", "manifests"};
	scoped(json_free) struct json *manifest = NULL;
	char part[DIGEST_HEX_SIZE];

	add_hex(&pruning->blobs, hex);
	if (!read_manifest(pruning->layout, hex, &manifest, err))
		return false;
	if (hex_of(json_get(manifest, "config"), part))
		add_hex(&pruning->blobs, part);
	for (size_t i = 0; i < countof(lists); i++) {
		const struct json *list = json_get(manifest, lists[i]);
		bool images = text_equal(lists[i], "manifests");

		for (size_t j = 0; j < json_count(list); j++)
			if (hex_of(json_at(list, j), part))
				add_hex(images ? &pruning->images : &pruning->blobs, part);
	}
	return true;
}

/* Each image that stays may bring others: those of an index, and what refers to it. */
static bool keep_all(struct pruning *pruning, struct error *err)
{
	size_t looked_at = 0;

	while (looked_at < pruning->images.count) {
		for (; looked_at < pruning->images.count; looked_at++) {
			/* A copy: the list may move while it grows. */
			scoped(text_free) char *hex =
				memory_copy_text(pruning->images.items[looked_at]);

			if (!keep_blobs(pruning, hex, err))
				return false;
		}
		if (!keep_referrers(pruning, err))
			return false;
	}
	return true;
}

static bool sweep(struct pruning *pruning, struct error *err)
{
	scoped(strings_free) struct strings names = {0};
	scoped(text_free) char *folder = path_join(pruning->layout->path, "blobs/sha256");

	if (!folder_list(folder, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		scoped(text_free) char *path = path_join(folder, name);
		struct stat status;

		if (strlen(name) != HEX || strings_contain(&pruning->blobs, name) ||
			lstat(path, &status) < 0)
			continue;
		if (unlink(path) < 0)
			return error_raise_errno(err, "remove \"%s\"", path);
		pruning->done.blobs++;
		pruning->done.size_bytes += status.st_size;
	}
	return true;
}

bool layout_prune(const struct layout *layout, const struct strings *tags,
	struct layout_pruned *out_pruned, struct error *err)
{
	scoped(pruning_free) struct pruning pruning = {.layout = layout, .tags = tags};
	scoped(descriptor_close) int locked = -1;

	if (!layout_lock(layout, &locked, err) || !layout_read_index(layout, &pruning.index, err) ||
		!keep_images(&pruning, err) || !keep_all(&pruning, err))
		return error_while(err, "pruning the image layout \"%s\"", layout->path);
	cut_index(&pruning);
	/* First nobody finds it any more, then it is gone. */
	if (!layout_write_index(layout, pruning.index, err) || !sweep(&pruning, err))
		return error_while(err, "pruning the image layout \"%s\"", layout->path);
	*out_pruned = pruning.done;
	return true;
}
