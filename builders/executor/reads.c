#include "builders/executor/reads.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/depfile.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 100000, DEPFILE_LIMIT = 1 << 20, PROBE_BYTES = 4096 };

/* 2001-09-09, before any change of a file that was just made: the first access then moves it also
 * where times are kept "relatime". */
static const struct timespec mark = {1000000000, 0};

void reads_free(struct reads *reads)
{
	strings_free(&reads->files);
	free(reads->unknown);
	*reads = (struct reads){0};
}

static int64_t nanoseconds(struct timespec time)
{
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static bool set_mark(const char *path)
{
	const struct timespec times[2] = {mark, {0, UTIME_OMIT}};

	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_marked(const struct stat *status)
{
	return nanoseconds(status->st_atim) == nanoseconds(mark);
}

static void give_up(struct reads *reads, const char *why)
{
	if (!reads->unknown)
		reads->unknown = memory_copy_text(why);
}

struct marking {
	const char *source;
	struct reads *reads;
};

static bool mark_one(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct marking *marking = context;
	scoped(text_free) char *path = path_join(marking->source, relative);

	(void)err;
	if (S_ISLNK(status->st_mode))
		give_up(marking->reads, "there are symbolic links");
	if (!S_ISREG(status->st_mode) || marking->reads->unknown)
		return true;
	if (marking->reads->files.count == FILES_MAX)
		give_up(marking->reads, "there are too many files");
	else if (!set_mark(path))
		give_up(marking->reads, "access times cannot be set");
	else
		strings_add(&marking->reads->files, relative);
	return true;
}

/* Can a file be copied here by sharing its blocks, and without its access time telling? */
static bool clones_unseen(const char *source)
{
	scoped(text_free) char *from = memory_format("%s.clone-from", source);
	scoped(text_free) char *to = memory_format("%s.clone-to", source);
	scoped(descriptor_close) int in = open(from, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	scoped(descriptor_close) int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static const char bytes[PROBE_BYTES];
	struct stat status;

	bool unseen = in >= 0 && out >= 0 &&
		      descriptor_write_all(in, bytes, sizeof(bytes), from, NULL) &&
		      set_mark(from) && ioctl(out, FICLONE, in) == 0 && fstat(in, &status) == 0 &&
		      is_marked(&status);

	unlink(from);
	unlink(to);
	return unseen;
}

bool reads_mark(const char *source, struct reads *out_reads, struct error *err)
{
	struct reads reads = {0};
	struct marking marking = {source, &reads};
	struct timespec now;

	if (!folder_walk(source, mark_one, &marking, err)) {
		reads_free(&reads);
		return error_while(err, "marking the files of the checkout");
	}
	strings_sort(&reads.files);
	if (clones_unseen(source))
		give_up(&reads, "files can be cloned here without a trace");
	clock_gettime(CLOCK_REALTIME, &now);
	reads.marked_ns = nanoseconds(now);
	*out_reads = reads;
	return true;
}

/* ---- after the build */

struct named {
	const char *base; /* what it is found by */
	size_t at;        /* in reads.files */
};

struct collecting {
	const struct reads *reads;
	const char *source, *inside;
	struct named *by_name; /* owned; sorted by base */
	bool *touched;         /* owned; as long as reads.files: the access time says so */
	bool *read;            /* owned; the outcome */
	size_t found;          /* prerequisites that are files of the checkout */
	bool contradicted;
};

static void collecting_free(struct collecting *collecting)
{
	free(collecting->by_name);
	free(collecting->touched);
	free(collecting->read);
}

static int by_base(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->base, ((const struct named *)b)->base);
}

/* Times that were set back are betrayed by the time of change, which nobody can set. */
static bool was_touched(const struct collecting *collecting, const char *relative)
{
	scoped(text_free) char *path = path_join(collecting->source, relative);
	struct stat status;

	return lstat(path, &status) != 0 || !S_ISREG(status.st_mode) || !is_marked(&status) ||
	       nanoseconds(status.st_ctim) > collecting->reads->marked_ns;
}

static void look_at_times(struct collecting *collecting)
{
	const struct strings *files = &collecting->reads->files;

	collecting->by_name = memory_new_array(files->count + 1, sizeof(*collecting->by_name));
	collecting->touched = memory_new_array(files->count + 1, sizeof(bool));
	collecting->read = memory_new_array(files->count + 1, sizeof(bool));
	for (size_t i = 0; i < files->count; i++) {
		collecting->by_name[i] = (struct named){path_base(files->items[i]), i};
		collecting->touched[i] = was_touched(collecting, files->items[i]);
		collecting->read[i] = collecting->touched[i];
	}
	if (files->count)
		qsort(collecting->by_name, files->count, sizeof(*collecting->by_name), by_base);
}

/* The part of a prerequisite that a file of the checkout must end with; NULL: it lies elsewhere. Where
 * the compiler stood is not known, so "../base/x.h" means every file whose path ends with base/x.h. */
static const char *tail_of(const struct collecting *collecting, const char *normal)
{
	size_t source = strlen(collecting->source), inside = strlen(collecting->inside);

	if (strncmp(normal, collecting->source, source) == 0 && normal[source] == '/')
		return normal + source + 1;
	if (strncmp(normal, collecting->inside, inside) == 0 && normal[inside] == '/')
		return normal + inside + 1;
	if (*normal == '/')
		return NULL;
	while (strncmp(normal, "../", 3) == 0)
		normal += 3;
	return normal;
}

static bool ends_with(const char *path, const char *tail)
{
	size_t size = strlen(path), end = strlen(tail);

	return size >= end && strcmp(path + size - end, tail) == 0 &&
	       (size == end || path[size - end - 1] == '/');
}

static void take_prerequisite(struct collecting *collecting, const char *name)
{
	scoped(text_free) char *normal = path_normalise(name);
	const char *tail = tail_of(collecting, normal);
	const struct strings *files = &collecting->reads->files;
	struct named wanted = {tail ? path_base(tail) : NULL, 0};
	bool any = false, touched = false;

	if (!tail || !files->count)
		return;
	const struct named *first =
		bsearch(&wanted, collecting->by_name, files->count, sizeof(wanted), by_base);

	while (first && first > collecting->by_name && by_base(first - 1, &wanted) == 0)
		first--;
	for (; first && first < collecting->by_name + files->count && by_base(first, &wanted) == 0;
		first++) {
		if (!ends_with(files->items[first->at], tail))
			continue;
		any = true;
		touched |= collecting->touched[first->at];
		collecting->read[first->at] = true;
	}
	collecting->found += any;
	collecting->contradicted |= any && !touched;
}

static bool take_depfile(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct collecting *collecting = context;
	scoped(text_free) char *path = path_join(collecting->source, relative);
	scoped(buf_free) struct buf text = {0};
	scoped(strings_free) struct strings names = {0};

	(void)err;
	/* What cannot be read, or is none, says nothing; the access times do. */
	if (!S_ISREG(status->st_mode) || !text_ends_with(relative, ".d") ||
		!file_read(path, DEPFILE_LIMIT, &text, NULL) ||
		!depfile_parse(buf_str(&text), &names))
		return true;
	for (size_t i = 0; i < names.count; i++)
		take_prerequisite(collecting, names.items[i]);
	return true;
}

bool reads_collect(const struct reads *reads, const char *source, const char *inside,
	struct strings *out_read, char **out_unknown, struct error *err)
{
	scoped(collecting_free) struct collecting collecting = {.reads = reads,
		.source = source,
		.inside = inside};
	const char *unknown = reads->unknown;

	*out_unknown = NULL;
	if (!unknown) {
		look_at_times(&collecting);
		if (!folder_walk(source, take_depfile, &collecting, err))
			return error_while(err, "looking for dependency files");
		unknown = !collecting.found         ? "it left no dependency files of a compiler"
			  : collecting.contradicted ? "access times do not move where it was built"
						    : NULL;
	}
	if (unknown) {
		*out_unknown = memory_copy_text(unknown);
		return true;
	}
	for (size_t i = 0; i < reads->files.count; i++)
		if (collecting.read[i])
			strings_add(out_read, reads->files.items[i]);
	return true;
}
