#include "deployers/local/layers.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAME_DIGITS = 32, REPORT_LIMIT = 8192 };

struct waiter {
	void (*done)(void *context, const struct error *err);
	void *context; /* borrowed; NULL: cancelled */
	struct waiter *following;
};

/* One image being unpacked by a child of ours; or, without an image, what was pruned being cleared. */
struct job {
	struct layers *layers;
	struct digest image; /* zero: none */
	pid_t child;
	int report_fd; /* what went wrong; closed by the child's end */
	struct buf report;
	struct watch *watch;
	struct waiter *waiters; /* owned */
	struct job *following;
};

struct layers {
	struct cloud *cloud;
	char *folder;
	struct job *jobs; /* owned */
};

static void layer_name(const struct digest *diff_id, char out[NAME_DIGITS + 1])
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(diff_id, hex);
	snprintf(out, NAME_DIGITS + 1, "%.*s", NAME_DIGITS, hex);
}

static char *layer_path(const struct layers *layers, const struct digest *diff_id)
{
	char name[NAME_DIGITS + 1];

	layer_name(diff_id, name);
	return path_join(layers->folder, name);
}

static bool layer_there(const struct layers *layers, const struct digest *diff_id)
{
	scoped(text_free) char *path = layer_path(layers, diff_id);

	return file_exists(path);
}

/* What a killed endpoint left half done. */
static bool remove_leftovers(struct layers *layers, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(layers->folder, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(layers->folder, names.items[i]);

		if (names.items[i][0] == '.' && !folder_remove(path, err))
			return false;
	}
	return true;
}

bool layers_open(struct cloud *cloud, struct layers **out_layers, struct error *err)
{
	scoped(layers_close) struct layers *layers = memory_new(sizeof(*layers));

	layers->cloud = cloud;
	layers->folder = path_join(cloud->state, "layers");
	if (!folder_make(layers->folder, 0700, err) || !remove_leftovers(layers, err))
		return error_while(err, "opening the store of unpacked layers");
	*out_layers = layers;
	layers = NULL;
	return true;
}

static void job_free(struct job *job)
{
	while (job->waiters) {
		struct waiter *waiter = job->waiters;

		job->waiters = waiter->following;
		free(waiter);
	}
	loop_remove(job->layers->cloud->loop, &job->watch);
	close(job->report_fd);
	buf_free(&job->report);
	free(job);
}

void layers_close(struct layers **layers)
{
	struct layers *all = *layers;

	if (!all)
		return;
	while (all->jobs) {
		struct job *job = all->jobs;

		all->jobs = job->following;
		kill(job->child, SIGKILL);
		waitpid(job->child, NULL, 0);
		job_free(job);
	}
	free(all->folder);
	free(all);
	*layers = NULL;
}

const char *layers_folder(const struct layers *layers)
{
	return layers->folder;
}

void layers_lower(const struct task_image *image, struct buf *out)
{
	char name[NAME_DIGITS + 1];

	for (size_t i = image->layer_count; i-- > 0;) {
		layer_name(&image->layers[i].diff_id, name);
		buf_printf(out, "%s%s", out->size ? ":" : "", name);
	}
}

/* Runs in a child of its own, whose root directory changes. */
static bool unpack_in_child(const char *blob, const struct digest *diff_id, const char *folder,
	struct error *err)
{
	int pipes[2], status;
	char text[REPORT_LIMIT];
	ssize_t size, total = 0;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_raise_errno(err, "make a pipe");
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!layer_unpack(blob, diff_id, folder, err))
			dprintf(pipes[1], "%s", err->message);
		_exit(0);
	}
	close(pipes[1]);
	while ((size = read(pipes[0], text + total, sizeof(text) - 1 - (size_t)total)) > 0)
		total += size;
	close(pipes[0]);
	if (child < 0)
		return error_raise_errno(err, "start a process");
	waitpid(child, &status, 0);
	text[total] = '\0';
	if (total)
		return error_raise(err, ERROR_INVALID, "%s", text);
	if (status)
		return error_raise(err, ERROR_SYSTEM, "unpacking a layer ended with status %d",
			status);
	return true;
}

static bool unpack_layer(struct layers *layers, const struct task_image_layer *layer,
	struct error *err)
{
	scoped(text_free) char *blob = NULL, *temporary = NULL;
	scoped(text_free) char *path = layer_path(layers, &layer->diff_id);

	if (!content_blob_path(layers->cloud->content, &layer->blob, &blob, err) ||
		!folder_make_temporary(layers->folder, ".", &temporary, err))
		return false;
	/* Its mode becomes the mode of the container's "/". */
	if (chmod(temporary, 0755) < 0)
		return error_raise_errno(err, "set the mode of \"%s\"", temporary);
	bool done = unpack_in_child(blob, &layer->diff_id, temporary, err);

	if (done && rename(temporary, path) == 0)
		return true;
	/* Another image with the same layer may have come first. */
	if (done && errno != EEXIST && errno != ENOTEMPTY)
		done = error_raise_errno(err, "rename \"%s\" to \"%s\"", temporary, path);
	struct error ignored = {0};

	if (!folder_remove(temporary, &ignored))
		error_ignore(&ignored, "the next start removes it");
	return done;
}

/* The child of a job: one layer after the other. */
static void job_run(struct layers *layers, const struct task_image *image, int report_fd)
{
	struct error err = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < image->layer_count; i++) {
		if (layer_there(layers, &image->layers[i].diff_id))
			continue;
		if (!unpack_layer(layers, &image->layers[i], &err)) {
			dprintf(report_fd, "%s", err.message);
			break;
		}
	}
	_exit(0);
}

static const char pruned_name[] = ".pruned-";

/* The child that clears; what it leaves the next start removes. */
static void clear_pruned(struct layers *layers)
{
	struct strings names = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (folder_list(layers->folder, &names, NULL))
		for (size_t i = 0; i < names.count; i++) {
			char *path = path_join(layers->folder, names.items[i]);

			if (text_starts_with(names.items[i], pruned_name) &&
				!folder_remove(path, NULL))
				_exit(1);
		}
	_exit(0);
}

static void job_done(struct job *job)
{
	struct layers *layers = job->layers;
	struct error err = {0};
	int status = 0;

	waitpid(job->child, &status, 0);
	for (struct job **at = &layers->jobs; *at; at = &(*at)->following) {
		if (*at == job) {
			*at = job->following;
			break;
		}
	}
	if (job->report.size)
		error_raise(&err, ERROR_INVALID, "%s", buf_text(&job->report));
	else if (status)
		error_raise(&err, ERROR_SYSTEM, "unpacking ended with wait status %d", status);
	for (struct waiter *waiter = job->waiters; waiter; waiter = waiter->following)
		if (waiter->context)
			waiter->done(waiter->context, err.message ? &err : NULL);
	error_free(&err);
	job_free(job);
}

static void read_report(void *context, unsigned bits)
{
	struct job *job = context;
	char text[1024];
	ssize_t size = read(job->report_fd, text, sizeof(text));

	(void)bits;
	if (size > 0 && job->report.size < REPORT_LIMIT)
		buf_append(&job->report, text, (size_t)size);
	else if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
		job_done(job);
}

static bool job_start(struct layers *layers, const struct task_image *image, struct job **out_job,
	struct error *err)
{
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_raise_errno(err, "make a pipe");
	pid_t child = fork();

	if (child == 0 && image)
		job_run(layers, image, pipes[1]);
	else if (child == 0)
		clear_pruned(layers);
	close(pipes[1]);
	if (child < 0) {
		close(pipes[0]);
		return error_raise_errno(err, "start a process that unpacks the image");
	}
	struct job *job = memory_new(sizeof(*job));

	job->layers = layers;
	if (image)
		job->image = image->digest;
	job->child = child;
	job->report_fd = pipes[0];
	job->watch = loop_add_fd(layers->cloud->loop, pipes[0], LOOP_READ, read_report, job);
	job->following = layers->jobs;
	layers->jobs = job;
	*out_job = job;
	return true;
}

static bool all_there(const struct layers *layers, const struct task_image *image)
{
	for (size_t i = 0; i < image->layer_count; i++)
		if (!layer_there(layers, &image->layers[i].diff_id))
			return false;
	return true;
}

/* For layers_prune(). Not the time of change, which a container could see. */
static void note_use(const struct layers *layers, const struct task_image *image)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

	for (size_t i = 0; i < image->layer_count; i++) {
		scoped(text_free) char *path = layer_path(layers, &image->layers[i].diff_id);

		/* One that is not there yet gets the time of its making. */
		if (utimensat(AT_FDCWD, path, times, 0) < 0)
			continue;
	}
}

bool layers_prepare(struct layers *layers, const struct task_image *image,
	void (*done)(void *context, const struct error *err), void *context, bool *out_ready,
	struct error *err)
{
	struct job *job = layers->jobs;

	note_use(layers, image);
	*out_ready = all_there(layers, image);
	if (*out_ready)
		return true;
	while (job && !digest_equal(&job->image, &image->digest))
		job = job->following;
	if (!job && !job_start(layers, image, &job, err))
		return false;
	struct waiter *waiter = memory_new(sizeof(*waiter));

	waiter->done = done;
	waiter->context = context;
	waiter->following = job->waiters;
	job->waiters = waiter;
	return true;
}

void layers_cancel(struct layers *layers, const void *context)
{
	for (struct job *job = layers->jobs; job; job = job->following)
		for (struct waiter *waiter = job->waiters; waiter; waiter = waiter->following)
			if (waiter->context == context)
				waiter->context = NULL;
}

struct unpacked {
	char *name; /* borrowed */
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct unpacked *one = a, *other = b;

	if (one->used.tv_sec != other->used.tv_sec)
		return one->used.tv_sec < other->used.tv_sec ? -1 : 1;
	if (one->used.tv_nsec != other->used.tv_nsec)
		return one->used.tv_nsec < other->used.tv_nsec ? -1 : 1;
	return strcmp(one->name, other->name);
}

static bool list_layers(const struct layers *layers, struct strings *out_names)
{
	scoped(strings_free) struct strings all = {0};

	if (!folder_list(layers->folder, &all, NULL))
		return false;
	for (size_t i = 0; i < all.count; i++)
		if (all.items[i][0] != '.')
			strings_add(out_names, all.items[i]);
	return true;
}

bool layers_are_many(const struct layers *layers)
{
	scoped(strings_free) struct strings names = {0};

	return list_layers(layers, &names) && names.count > LAYERS_KEPT;
}

/* Takes one out of everybody's sight. */
static bool hide_layer(const struct layers *layers, const char *name)
{
	scoped(text_free) char *path = path_join(layers->folder, name);
	scoped(text_free) char *hidden =
		memory_format("%s/%s%s", layers->folder, pruned_name, name);

	return rename(path, hidden) == 0;
}

void layers_prune(struct layers *layers, const struct strings *in_use)
{
	scoped(strings_free) struct strings names = {0};
	size_t count = 0, hidden = 0;
	struct job *job = layers->jobs;

	while (job && !digest_is_zero(&job->image))
		job = job->following;
	/* What the last time is being cleared yet: there will be another time. */
	if (job || !list_layers(layers, &names))
		return;
	struct unpacked *idle = memory_new_array(names.count, sizeof(*idle));

	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(layers->folder, names.items[i]);
		struct stat status;

		if (!strings_contain(in_use, names.items[i]) && stat(path, &status) == 0)
			idle[count++] = (struct unpacked){names.items[i], status.st_atim};
	}
	qsort(idle, count, sizeof(*idle), by_use);
	for (size_t i = 0; i < count && names.count - hidden > LAYERS_KEPT; i++)
		hidden += hide_layer(layers, idle[i].name);
	free(idle);
	scoped(error_free) struct error err = {0};

	if (hidden && !job_start(layers, NULL, &job, &err))
		error_ignore(&err, "the next start clears them away");
}
