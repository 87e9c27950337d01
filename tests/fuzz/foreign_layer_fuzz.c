/* A layer that is accepted, written again and read once more gives the same bytes: nothing in it reads
 * differently the second time. */
#include "base/file.h"
#include "base/memory.h"
#include "builders/image/foreign_layer.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the archive in fd and packs it into a new descriptor; false when it is refused. */
static bool rewrite(int fd, int *out_fd, struct digest *out_digest)
{
	scoped(error_free) struct error err = {0};
	scoped(foreign_spool_close) struct foreign_spool spool = {.fd = memfd_create("spool",
									  MFD_CLOEXEC),
		.size_limit = 1 << 20,
		.text_limit = 1 << 20,
		.entry_limit = 10000};
	scoped(foreign_tree_free) struct foreign_tree tree = {0};
	scoped(packer_free) struct packer *packer = packer_new(COMPRESSION_NONE);
	struct packed packed;

	lseek(fd, 0, SEEK_SET);
	if (!foreign_layer_read(fd, &spool, &tree, NULL, &err))
		return false;
	*out_fd = memfd_create("packed", MFD_CLOEXEC);
	packer_begin(packer, *out_fd, "packed");
	if (!foreign_tree_pack(&tree, &spool, 0, NULL, packer, &err) ||
		!packer_finish(packer, &packed, &err))
		__builtin_trap();
	*out_digest = packed.digest;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(descriptor_close) int given = memfd_create("given", MFD_CLOEXEC), first = -1,
				     second = -1;
	struct digest once, twice;

	if (write(given, data, size) != (ssize_t)size || !rewrite(given, &first, &once))
		return 0;
	if (!rewrite(first, &second, &twice) || !digest_equal(&once, &twice))
		__builtin_trap();
	return 0;
}
