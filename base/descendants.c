#include "base/descendants.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>

enum { CHILDREN_BYTES_MAX = 16 << 20 };

static void add(struct descendants *all, struct str pids)
{
	while (pids.data) {
		int64_t pid;

		if (!str_to_int(str_cut(&pids, ' '), &pid) || pid <= 1)
			continue;
		if ((all->count & (all->count - 1)) == 0)
			all->pids = memory_resize(all->pids,
				(all->count ? all->count * 2 : 1) * sizeof(*all->pids));
		all->pids[all->count++] = (pid_t)pid;
	}
}

/* Every thread has children of its own. */
static void add_children(struct descendants *all, pid_t parent)
{
	scoped(text_free) char *tasks = memory_format("/proc/%d/task", (int)parent);
	scoped(strings_free) struct strings threads = {0};
	scoped(error_free) struct error err = {0};

	if (!folder_list(tasks, &threads, &err))
		error_ignore(&err, "it has ended");
	for (size_t i = 0; i < threads.count; i++) {
		scoped(text_free) char *path =
			memory_format("%s/%s/children", tasks, threads.items[i]);
		scoped(buf_free) struct buf text = {0};

		if (!file_read(path, CHILDREN_BYTES_MAX, &text, &err))
			error_ignore(&err, "it has ended");
		add(all, buf_str(&text));
	}
}

void descendants_find(pid_t root, struct descendants *out)
{
	struct descendants all = {0};

	add_children(&all, root);
	for (size_t i = 0; i < all.count; i++)
		add_children(&all, all.pids[i]);
	*out = all;
}

void descendants_free(struct descendants *descendants)
{
	free(descendants->pids);
	*descendants = (struct descendants){0};
}
