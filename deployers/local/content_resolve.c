#include "base/file.h"
#include "base/memory.h"
#include "deployers/local/content_internal.h"

#include <sys/utsname.h>

bool content_read_manifest(struct content *content, const char *name, struct buf *out,
	struct error *err)
{
	scoped(text_free) char *path = NULL;

	return content_blob_file(content, name, &path, err) &&
	       file_read(path, MANIFEST_LIMIT, out, err);
}

/* "127.0.0.1:4566", "localhost:4566", the bridge's address or an ECR host of our account. */
static bool is_our_host(const struct cloud *cloud, struct str host)
{
	scoped(text_free) char *own = memory_format("%s:%d", cloud->host, cloud->port),
			       *local = memory_format("localhost:%d", cloud->port),
			       *bridge = memory_format("%s:%d",
				       cloud->gateway ? cloud->gateway : "", cloud->port),
			       *ecr = memory_format("%s.dkr.ecr.%s.amazonaws.com", cloud->account,
				       cloud->region);

	return str_equal_text(host, own) || str_equal_text(host, local) ||
	       str_equal_text(host, bridge) || str_equal_text(host, ecr);
}

static const char *architecture(void)
{
	struct utsname names;

	if (uname(&names) == 0 && text_equal(names.machine, "aarch64"))
		return "arm64";
	return "amd64";
}

/* The manifest of an index for this machine. */
static const char *choose_manifest(const struct json *index)
{
	const struct json *list = json_get(index, "manifests");

	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *platform = json_get(json_at(list, i), "platform");

		if (text_equal(json_get_text(platform, "os", ""), "linux") &&
			text_equal(json_get_text(platform, "architecture", ""), architecture()))
			return json_get_text(json_at(list, i), "digest", NULL);
	}
	return NULL;
}

static bool load_manifest(struct content *content, const char *repository, const char *reference,
	struct digest *out_digest, struct json **out_manifest, struct error *err)
{
	const struct json *image = content_image(content, repository, reference);
	scoped(buf_free) struct buf bytes = {0};

	const char *name = json_get_text(image, "imageDigest", "");

	if (!image)
		return error_raise(err, ERROR_NOT_FOUND, "repository \"%s\" has no image \"%s\"",
			repository, reference);
	if (!digest_parse(str_of(name), out_digest))
		return error_raise(err, ERROR_INVALID,
			"image \"%s\" is named by %s; containers run by sha256 only", reference,
			name);
	return content_read_manifest(content, name, &bytes, err) &&
	       json_parse(buf_str(&bytes), "the manifest", NULL, out_manifest, err);
}

bool content_resolve(struct content *content, const char *reference, struct digest *out_digest,
	struct json **out_manifest, struct error *err)
{
	scoped(json_free) struct json *manifest = NULL, *index = NULL;
	scoped(text_free) char *repository = NULL, *which = NULL;
	struct str rest = str_of(reference), host = str_cut(&rest, '/');
	struct str by_digest = rest, name = str_cut(&by_digest, '@'), tag = name;
	const char *slash = name.size ? memrchr(name.data, '/', name.size) : NULL;
	size_t folder = slash ? (size_t)(slash - name.data) : 0;

	tag = (struct str){name.data + folder, name.size - folder};
	struct str last = str_cut(&tag, ':');

	name.size = folder + last.size;
	if (!rest.data || !is_our_host(content->cloud, host)) {
		error_raise(err, ERROR_INVALID,
			"image \"%s\" is not in the local cloud's registry %s:%d", reference,
			content->cloud->host, content->cloud->port);
		return error_next(err, "push it there first: dogshore image copy");
	}
	repository = str_copy(name);
	which = by_digest.data ? str_copy(by_digest)
		: tag.data     ? str_copy(tag)
			       : memory_copy_text("latest");
	if (!content_repository(content, repository))
		return error_raise(err, ERROR_NOT_FOUND,
			"the local registry has no repository \"%s\"", repository);
	if (!load_manifest(content, repository, which, out_digest, &manifest, err))
		return false;
	if (json_is_array(json_get(manifest, "manifests"))) {
		const char *chosen = choose_manifest(manifest);

		index = manifest;
		manifest = NULL;
		if (!chosen)
			return error_raise(err, ERROR_NOT_FOUND,
				"image \"%s\" has no manifest for linux/%s", reference,
				architecture());
		if (!load_manifest(content, repository, chosen, out_digest, &manifest, err))
			return false;
	}
	*out_manifest = manifest;
	manifest = NULL;
	return true;
}
