#include "pipeline/source/follow.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Git writes NAME.lock and renames it, so a branch has moved when something was renamed into place
 * or removed; folders may come with new branches like release/1. */
enum { REFS_MASK = IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR, FOLDERS_MAX = 1000 };

struct follow {
	struct loop *loop;
	int fd;
	char *heads;    /* owned: <git>/refs/heads */
	char *git;      /* owned */
	size_t folders; /* how many are watched; each folder of branches is one */
	struct watch *watch;
	void (*moved)(void *context);
	void *context;
};

static bool add_folder(struct follow *follow, const char *path, struct error *err)
{
	if (inotify_add_watch(follow->fd, path, REFS_MASK) >= 0) {
		follow->folders++;
		return true;
	}
	/* A branch that is gone again meanwhile takes its folder along. */
	if (errno == ENOENT || errno == ENOTDIR)
		return true;
	error_raise_errno(err, "watch \"%s\"", path);
	return error_next(err, "raise fs.inotify.max_user_watches");
}

static bool add_below(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct follow *follow = context;
	scoped(text_free) char *path = path_join(follow->heads, relative);

	if (!S_ISDIR(status->st_mode))
		return true;
	if (follow->folders == FOLDERS_MAX)
		return error_raise(err, ERROR_LIMIT, "\"%s\" has more than %d folders of branches",
			follow->heads, FOLDERS_MAX);
	return add_folder(follow, path, err);
}

/* Adding a folder that is watched already changes nothing. */
static bool add_all(struct follow *follow, struct error *err)
{
	follow->folders = 0;
	return add_folder(follow, follow->git, err) && add_folder(follow, follow->heads, err) &&
	       folder_walk(follow->heads, add_below, follow, err);
}

static bool is_lock(const struct inotify_event *event)
{
	return event->len && text_ends_with(event->name, ".lock");
}

/* Reads all that is there; returns whether any of it matters. *out_folders: a folder came. */
static bool read_events(struct follow *follow, bool *out_folders)
{
	_Alignas(struct inotify_event) char bytes[16 * 1024];
	bool matters = false;
	ssize_t size;

	while ((size = read(follow->fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t at = 0; at < size;) {
			struct inotify_event event;

			memcpy(&event, bytes + at, sizeof(event));
			const struct inotify_event *whole = (const void *)(bytes + at);

			*out_folders |= (event.mask & IN_ISDIR) != 0;
			matters |= (event.mask & IN_Q_OVERFLOW) != 0 || !is_lock(whole);
			at += (ssize_t)sizeof(event) + event.len;
		}
	return matters;
}

static void ready(void *context, unsigned bits)
{
	struct follow *follow = context;
	scoped(error_free) struct error err = {0};
	bool folders = false;

	(void)bits;
	if (!read_events(follow, &folders))
		return;
	if (folders && !add_all(follow, &err))
		error_ignore(&err, "branches in that folder are seen with the next change");
	follow->moved(follow->context);
}

bool follow_start(struct loop *loop, struct repository *repository, void (*moved)(void *context),
	void *context, struct follow **out_follow, struct error *err)
{
	scoped(follow_free) struct follow *follow = memory_new(sizeof(*follow));

	follow->loop = loop;
	follow->moved = moved;
	follow->context = context;
	follow->git = memory_copy_text(repository_git_folder(repository));
	follow->heads = path_join(follow->git, "refs/heads");
	follow->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (follow->fd < 0)
		return error_raise_errno(err, "start watching \"%s\"", follow->heads);
	if (!add_all(follow, err))
		return false;
	follow->watch = loop_add_fd(loop, follow->fd, LOOP_READ, ready, follow);
	*out_follow = follow;
	follow = NULL;
	return true;
}

void follow_free(struct follow **follow)
{
	if (!*follow)
		return;
	loop_remove((*follow)->loop, &(*follow)->watch);
	if ((*follow)->fd > 0)
		close((*follow)->fd);
	free((*follow)->heads);
	free((*follow)->git);
	free(*follow);
	*follow = NULL;
}
