#include "tests/unit/builders/image/archive_scene.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

la_ssize_t scene_keep(struct archive *archive, void *context, const void *bytes, size_t size)
{
	(void)archive;
	buf_append(context, bytes, size);
	return (la_ssize_t)size;
}

void scene_begin(struct scene *scene)
{
	scene->archive = archive_write_new();
	archive_write_set_format_pax_restricted(scene->archive);
	archive_write_open(scene->archive, &scene->bytes, NULL, scene_keep, NULL);
}

int64_t scene_now = 1000;

struct archive_entry *scene_entry(const char *path, unsigned type, int64_t size)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, type == AE_IFDIR ? 0750 : 0640);
	archive_entry_set_size(entry, size);
	archive_entry_set_uid(entry, 7);
	archive_entry_set_gid(entry, 8);
	archive_entry_set_mtime(entry, scene_now, 5);
	archive_entry_set_uname(entry, scene_now > 1000 ? "alice" : "bob");
	return entry;
}

void scene_put(struct scene *scene, struct archive_entry *entry, const char *text)
{
	archive_write_header(scene->archive, entry);
	if (text)
		archive_write_data(scene->archive, text, strlen(text));
	archive_entry_free(entry);
}

void scene_folder(struct scene *scene, const char *path)
{
	scene_put(scene, scene_entry(path, AE_IFDIR, 0), NULL);
}

void scene_file(struct scene *scene, const char *path, const char *text)
{
	scene_put(scene, scene_entry(path, AE_IFREG, (int64_t)strlen(text)), text);
}

void scene_soft(struct scene *scene, const char *path, const char *target)
{
	struct archive_entry *entry = scene_entry(path, AE_IFLNK, 0);

	archive_entry_set_symlink(entry, target);
	scene_put(scene, entry, NULL);
}

void scene_hard(struct scene *scene, const char *path, const char *target)
{
	struct archive_entry *entry = scene_entry(path, AE_IFREG, 0);

	archive_entry_set_hardlink(entry, target);
	scene_put(scene, entry, NULL);
}

static int descriptor_of(struct str bytes)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	if (write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size)
		abort();
	lseek(fd, 0, SEEK_SET);
	return fd;
}

bool scene_read(struct str bytes, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct error *err)
{
	int fd = descriptor_of(bytes);
	bool ok = foreign_layer_read(fd, spool, out_tree, NULL, err);

	close(fd);
	return ok;
}

bool scene_finish(struct scene *scene, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct error *err)
{
	archive_write_close(scene->archive);
	archive_write_free(scene->archive);
	bool ok = scene_read(buf_str(&scene->bytes), spool, out_tree, err);
	buf_free(&scene->bytes);
	return ok;
}

void scene_pack(const struct foreign_tree *tree, const struct foreign_spool *spool, struct buf *out)
{
	scoped(packer_free) struct packer *packer = packer_new(COMPRESSION_NONE);
	int fd = memfd_create("packed", MFD_CLOEXEC);
	struct packed packed;
	struct error err = {0};

	packer_begin(packer, fd, "packed");
	if (!foreign_tree_pack(tree, spool, 3, NULL, packer, &err) ||
		!packer_finish(packer, &packed, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	char *room = buf_reserve(out, (size_t)packed.size_bytes);
	out->size += (size_t)pread(fd, room, (size_t)packed.size_bytes, 0);
	close(fd);
}

/* What libarchive sees in it, an entry a line: "750 7:8 3 etc/", "640 7:8 3 etc/x=text". */
static char *list(const struct foreign_tree *tree, const struct foreign_spool *spool)
{
	scoped(buf_free) struct buf bytes = {0};
	struct buf out = {0};
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	char text[64];

	scene_pack(tree, spool, &bytes);
	archive_read_support_format_tar(archive);
	archive_read_open_memory(archive, bytes.data, bytes.size);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		la_ssize_t size = archive_read_data(archive, text, sizeof(text));
		buf_printf(&out, "%o %d:%d %lld %s", archive_entry_perm(entry),
			(int)archive_entry_uid(entry), (int)archive_entry_gid(entry),
			(long long)archive_entry_mtime(entry), archive_entry_pathname(entry));
		if (archive_entry_hardlink(entry))
			buf_printf(&out, " => %s", archive_entry_hardlink(entry));
		else if (archive_entry_symlink(entry))
			buf_printf(&out, " -> %s", archive_entry_symlink(entry));
		else if (archive_entry_filetype(entry) == AE_IFREG)
			buf_printf(&out, "=%.*s", size > 0 ? (int)size : 0, text);
		buf_append_char(&out, '\n');
	}
	archive_read_free(archive);
	return out.size ? buf_take(&out) : memory_copy_text("");
}

char *scene_list(struct foreign_tree *tree, struct foreign_spool *spool)
{
	char *text = list(tree, spool);

	foreign_tree_free(tree);
	foreign_spool_close(spool);
	return text;
}
