/*
 * archive_scene.h - an archive made entry by entry with libarchive, read and written again by ours.
 */
#ifndef TESTS_UNIT_BUILDERS_IMAGE_ARCHIVE_SCENE_H
#define TESTS_UNIT_BUILDERS_IMAGE_ARCHIVE_SCENE_H

#include "builders/image/foreign_layer.h"

#include <archive.h>
#include <archive_entry.h>

struct scene {
	struct archive *archive;
	struct buf bytes;
};

/* What differs from build to build: times, and with them names of owners. */
extern int64_t scene_now;

void scene_begin(struct scene *scene);
struct archive_entry *scene_entry(const char *path, unsigned type, int64_t size);
void scene_put(struct scene *scene, struct archive_entry *entry, const char *text);
void scene_folder(struct scene *scene, const char *path);
void scene_file(struct scene *scene, const char *path, const char *text);
void scene_soft(struct scene *scene, const char *path, const char *target);
void scene_hard(struct scene *scene, const char *path, const char *target);
/* Ends the archive and reads it. */
bool scene_finish(struct scene *scene, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct error *err);

bool scene_read(struct str bytes, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct error *err);
/* Where libarchive writes to: context is a buf. */
la_ssize_t scene_keep(struct archive *archive, void *context, const void *bytes, size_t size);

/* Our archive of the tree. */
void scene_pack(const struct foreign_tree *tree, const struct foreign_spool *spool,
	struct buf *out);
/* What libarchive sees in that, an entry a line: "750 7:8 3 etc/", "640 7:8 3 etc/x=text"; owned. Frees
 * the tree and closes the spool. */
char *scene_list(struct foreign_tree *tree, struct foreign_spool *spool);

#endif
