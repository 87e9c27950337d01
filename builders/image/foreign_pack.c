#include "builders/image/foreign_tree.h"
#include "builders/image/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct packing {
	const struct foreign_tree *tree;
	const struct foreign_spool *spool;
	struct packer *packer;
	struct leak_fence *fence; /* NULL: none */
	int64_t modified_s;
	const char **first; /* owned: by node, the path that carries the content */
	struct buf header, path;
};

static void packing_free(struct packing *packing)
{
	free(packing->first);
	buf_free(&packing->header);
	buf_free(&packing->path);
}

static bool pack_content(struct packing *p, const struct foreign_node *node, struct error *err)
{
	static const char zeros[TAR_BLOCK];
	int64_t done = 0;

	while (done < node->size_bytes) {
		char *room;
		size_t size;
		int64_t left = node->size_bytes - done;

		if (!packer_room(p->packer, &room, &size, err))
			return false;
		ssize_t got = pread(p->spool->fd, room, (int64_t)size < left ? size : (size_t)left,
			node->offset + done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_raise_errno(err, "read a temporary file");
		if (p->fence)
			leak_fence_feed(p->fence, room, (size_t)got);
		packer_filled(p->packer, (size_t)got);
		done += got;
	}
	return packer_add(p->packer, zeros, tar_padding(node->size_bytes), err);
}

static bool pack_header(struct packing *p, const struct tar_header *header, struct error *err)
{
	buf_clear(&p->header);
	tar_append_header(&p->header, header);
	return packer_add(p->packer, p->header.data, p->header.size, err);
}

/* An empty file named after what it hides. */
static bool pack_whiteout(struct packing *p, const struct foreign_entry *entry, struct error *err)
{
	struct str path = entry->path;
	size_t name = path.size;

	buf_clear(&p->path);
	if (entry->kind == FOREIGN_OPAQUE) {
		buf_append_str(&p->path, path);
		buf_append_text(&p->path, path.size ? "/.wh..wh..opq" : ".wh..wh..opq");
	} else {
		while (name > 0 && path.data[name - 1] != '/')
			name--;
		buf_append(&p->path, path.data, name);
		buf_printf(&p->path, ".wh.%s", path.data + name);
	}
	return pack_header(p,
		&(struct tar_header){.path = buf_text(&p->path),
			.kind = TAR_FILE,
			.mode = 0644,
			.modified_s = p->modified_s},
		err);
}

static bool pack_entry(struct packing *p, const struct foreign_entry *entry, struct error *err)
{
	const struct foreign_node *node = &p->tree->nodes[entry->node];
	struct tar_header header = {.path = entry->path.data,
		.kind = entry->kind == FOREIGN_FOLDER ? TAR_FOLDER
			: entry->kind == FOREIGN_LINK ? TAR_LINK
						      : TAR_FILE,
		.mode = node->mode,
		.size_bytes = node->size_bytes,
		.target = entry->target,
		.modified_s = p->modified_s,
		.user = node->user,
		.group = node->group,
		.capability = node->capability};

	if (entry->kind != FOREIGN_FILE)
		return pack_header(p, &header, err);
	if (p->first[entry->node]) {
		header.kind = TAR_HARD_LINK;
		header.target = p->first[entry->node];
		header.capability = (struct str){0};
		return pack_header(p, &header, err);
	}
	p->first[entry->node] = entry->path.data;
	if (p->fence)
		leak_fence_begin(p->fence, entry->path.data);
	bool done = pack_header(p, &header, err) && pack_content(p, node, err);
	if (done && p->fence)
		leak_fence_end(p->fence);
	return done;
}

bool foreign_tree_pack(const struct foreign_tree *tree, const struct foreign_spool *spool,
	int64_t modified_s, struct leak_fence *fence, struct packer *packer, struct error *err)
{
	static const char zeros[TAR_END_SIZE];
	scoped(packing_free) struct packing p = {.tree = tree,
		.spool = spool,
		.packer = packer,
		.modified_s = modified_s,
		.fence = fence,
		.first = memory_new_array(tree->node_count + 1, sizeof(char *))};

	for (size_t i = 0; i < tree->count; i++) {
		const struct foreign_entry *entry = &tree->entries[i];
		bool hides = entry->kind == FOREIGN_OPAQUE || entry->kind == FOREIGN_WHITEOUT;

		if (hides ? !pack_whiteout(&p, entry, err) : !pack_entry(&p, entry, err))
			return false;
	}
	return packer_add(packer, zeros, sizeof(zeros), err);
}
