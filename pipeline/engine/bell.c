#include "pipeline/engine/bell.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name[] = "bell";

static void ready(void *context, unsigned bits)
{
	struct bell *bell = context;
	char rings[64];

	(void)bits;
	while (read(bell->fd, rings, sizeof(rings)) > 0)
		;
	bell->rung(bell->context);
}

bool bell_hang(struct bell *bell, const char *folder, struct loop *loop,
	void (*rung)(void *context), void *context, struct error *err)
{
	scoped(text_free) char *path = path_join(folder, name);

	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		return error_raise_errno(err, "make \"%s\"", path);
	/* Open for writing too, so that it never reads as ended between two ringers. */
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	*bell = (struct bell){.fd = fd, .rung = rung, .context = context};
	bell->watch = loop_add_fd(loop, fd, LOOP_READ, ready, bell);
	return true;
}

void bell_ring(const char *folder)
{
	scoped(text_free) char *path = path_join(folder, name);
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A full FIFO has been rung already. */
	ssize_t ignored = write(fd, "", 1);

	(void)ignored;
	close(fd);
}

void bell_free(struct bell *bell, struct loop *loop)
{
	loop_remove(loop, &bell->watch);
	if (bell->fd)
		descriptor_close(&bell->fd);
	*bell = (struct bell){0};
}
