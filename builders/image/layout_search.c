#include "builders/image/layout_search.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/image/config.h"
#include "builders/image/foreign_layer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { DEPTH = 4 };

static bool search_file(const struct foreign_spool *spool, const struct foreign_node *node,
	const char *path, struct leak_fence *fence, struct error *err)
{
	char piece[32 * 1024];

	leak_fence_begin(fence, path);
	for (int64_t at = 0; at < node->size_bytes;) {
		int64_t left = node->size_bytes - at;
		ssize_t got = pread(spool->fd, piece,
			left < (int64_t)sizeof(piece) ? (size_t)left : sizeof(piece),
			node->offset + at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_raise_errno(err, "read what was spooled of \"%s\"", path);
		leak_fence_feed(fence, piece, (size_t)got);
		at += got;
	}
	leak_fence_end(fence);
	return true;
}

static bool search_layer(const struct layout *layout, const struct blob_name *blob,
	struct leak_fence *fence, struct error *err)
{
	scoped(text_free) char *path = layout_blob_path(layout, &blob->digest);
	scoped(foreign_spool_close) struct foreign_spool spool = {.fd = -1};
	scoped(foreign_tree_free) struct foreign_tree tree = {0};
	scoped(descriptor_close) int fd = -1;

	/* A base's layer may have stayed in its registry; an artifact's is no archive. */
	if (!strstr(blob->media_type, "tar") ||
		!layout_has_blob(layout, &blob->digest, blob->size_bytes))
		return true;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	if (!foreign_spool_open(&spool, err) || !foreign_layer_read(fd, &spool, &tree, NULL, err)) {
		error_while(err, "searching the layer \"%s\" for secrets", path);
		return error_next(err, "it is damaged, or no layer: build the image again");
	}
	for (size_t i = 0; i < tree.count; i++) {
		const struct foreign_entry *entry = &tree.entries[i];

		if (entry->kind == FOREIGN_FILE && !search_file(&spool, &tree.nodes[entry->node],
							   entry->path.data, fence, err))
			return false;
	}
	return true;
}

static bool search_config(const struct layout *layout, const struct blob_name *blob,
	struct leak_fence *fence, struct error *err)
{
	scoped(image_facts_free) struct image_facts facts = {0};
	scoped(buf_free) struct buf text = {0};

	if (!layout_read_blob(layout, &blob->digest, MANIFEST_LIMIT, &text, err) ||
		!config_parse(buf_str(&text), "the configuration", &facts, err))
		return false;
	leak_fence_settings(fence, "env", &facts.env);
	leak_fence_settings(fence, "label", &facts.labels);
	leak_fence_settings(fence, "arg", &facts.entrypoint);
	leak_fence_settings(fence, "arg", &facts.args);
	return true;
}

static bool search_manifest(const struct layout *layout, const struct digest *digest,
	const char *media_type, int depth, struct leak_fence *fence, struct error *err)
{
	scoped(manifest_free) struct manifest manifest = {0};
	scoped(buf_free) struct buf text = {0};

	if (depth == 0)
		return error_raise(err, ERROR_LIMIT, "indexes lie in each other more than %d deep",
			DEPTH);
	if (!layout_read_blob(layout, digest, MANIFEST_LIMIT, &text, err) ||
		!manifest_parse(buf_str(&text), media_type, "the image's manifest", &manifest, err))
		return false;
	if (!manifest.is_index && !search_config(layout, &manifest.config, fence, err))
		return false;
	for (size_t i = 0; i < manifest.count; i++) {
		const struct blob_name *item = &manifest.items[i];

		if (manifest.is_index ? !search_manifest(layout, &item->digest, item->media_type,
						depth - 1, fence, err)
				      : !search_layer(layout, item, fence, err))
			return false;
	}
	return true;
}

bool layout_search(const struct layout *layout, const char *tag, struct leak_fence *fence,
	struct error *err)
{
	struct layout_entry entry;

	return layout_find_tag(layout, tag, &entry, err) &&
	       search_manifest(layout, &entry.digest, entry.media_type, DEPTH, fence, err);
}
