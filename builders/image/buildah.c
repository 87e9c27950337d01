#include "builders/image/buildah.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/masker.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { ID_LIMIT = 256 };

static void show(const struct buf *text)
{
	struct error err = {0};

	if (text->size &&
		!descriptor_write_all(STDERR_FILENO, text->data, text->size, "stderr", &err))
		error_ignore(&err, "nobody listens; the build goes on");
}

/* All that is there now. False at the end. */
static bool pass_on(int fd, struct masker *masker)
{
	enum { PIECE = 64 * 1024 };
	scoped(buf_free) struct buf masked = {0};
	char piece[PIECE];
	ssize_t size;

	do {
		size = read(fd, piece, sizeof(piece));
		if (size > 0)
			masker_feed(masker, (struct str){piece, (size_t)size}, &masked);
	} while (size > 0 || (size < 0 && errno == EINTR));
	show(&masked);
	return size < 0;
}

/* Shows what is printed until buildah has ended: what a step left running may hold the pipe. */
static void follow(const struct process *process, const struct strings *secrets)
{
	scoped(masker_free) struct masker masker = {0};
	scoped(buf_free) struct buf rest = {0};
	struct pollfd ends[] = {{process->stdout_fd, POLLIN, 0}, {process->pidfd, POLLIN, 0}};

	for (size_t i = 0; secrets && i < secrets->count; i++)
		masker_add(&masker, secrets->items[i]);
	while (!ends[1].revents) {
		if (poll(ends, countof(ends), -1) > 0 && !pass_on(process->stdout_fd, &masker))
			ends[0].fd = -1;
	}
	masker_flush(&masker, &rest);
	show(&rest);
}

/* Ends with us, is reached by the signals that end us, and prints where it does not disturb. */
static bool run(const struct strings *argv, const struct strings *secrets, const char *what,
	struct error *err)
{
	struct process process = {0};
	struct process_exit how = {0};

	if (!process_start(&(struct process_options){.argv = (const char *const *)argv->items,
				   .merge_output = true,
				   .die_with_parent = true,
				   .same_group = true},
		    &process, err)) {
		if (err && err->kind == ERROR_NOT_FOUND)
			error_next(err, "install it: apt-get install buildah");
		return error_while(err, "%s", what);
	}
	follow(&process, secrets);
	bool ok = process_wait(&process, &how, err);

	process_free(&process);
	if (!ok)
		return false;
	if (how.exited && how.status == 0)
		return true;
	error_raise(err, ERROR_FAILED, "buildah ended with %s %d", how.exited ? "status" : "signal",
		how.status);
	error_next(err, "what it printed above says why");
	return error_while(err, "%s", what);
}

static bool find_buildah(struct error *err)
{
	scoped(text_free) char *program = program_find("buildah");

	if (program)
		return true;
	error_raise(err, ERROR_NOT_FOUND, "buildah, which builds Dockerfiles, is not installed");
	return error_next(err, "apt-get install buildah; or name a program with --binary, which "
			       "needs no Dockerfile");
}

/* One name for each Dockerfile: the next build replaces the last one in buildah's store. */
static char *image_name(const char *file)
{
	scoped(text_free) char *real = realpath(file, NULL);
	struct digest digest = digest_of_str(str_of(real ? real : file));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	return memory_format("localhost/dogshore:%.16s", hex);
}

static bool build(const struct buildah_options *options, const char *id_file, struct error *err)
{
	scoped(strings_free) struct strings argv = {0};
	scoped(text_free) char *name = image_name(options->file);

	strings_add(&argv, "buildah");
	strings_add(&argv, "build");
	strings_add(&argv, "--format=oci");
	strings_add(&argv, "--identity-label=false");
	/* Always a layer for each step, so that the cache changes no digest. */
	strings_add(&argv, "--layers");
	if (options->no_cache)
		strings_add(&argv, "--no-cache");
	if (!getenv("BUILDAH_ISOLATION"))
		strings_add(&argv, "--isolation=chroot");
	if (options->platform)
		strings_printf(&argv, "--platform=%s", options->platform);
	if (options->target)
		strings_printf(&argv, "--target=%s", options->target);
	for (size_t i = 0; options->build_args && i < options->build_args->count; i++)
		strings_printf(&argv, "--build-arg=%s", options->build_args->items[i]);
	strings_printf(&argv, "--iidfile=%s", id_file);
	strings_printf(&argv, "--tag=%s", name);
	strings_printf(&argv, "--file=%s", options->file);
	strings_add(&argv, "--");
	strings_add(&argv, options->context);
	return run(&argv, options->secrets, "building the Dockerfile", err);
}

static bool read_id(const char *id_file, char **out_id, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct digest digest;
	char id[DIGEST_TEXT_SIZE];

	if (!file_read(id_file, ID_LIMIT, &text, err))
		return false;
	if (!digest_parse(str_trim(buf_str(&text)), &digest))
		return error_raise(err, ERROR_PROTOCOL, "buildah names its image \"%s\"",
			buf_text(&text));
	digest_to_text(&digest, id);
	*out_id = memory_copy_text(id);
	return true;
}

static bool take_out(const char *id, const char *folder, struct error *err)
{
	scoped(strings_free) struct strings argv = {0};

	strings_add(&argv, "buildah");
	strings_add(&argv, "push");
	strings_add(&argv, "--quiet");
	strings_add(&argv, "--disable-compression");
	strings_add(&argv, id);
	strings_printf(&argv, "dir:%s", folder);
	return run(&argv, NULL, "taking the image out of buildah's store", err);
}

bool buildah_build(const struct buildah_options *options, const char *work, const char *folder,
	struct error *err)
{
	scoped(text_free) char *id_file = path_join(work, "id"), *id = NULL;

	return find_buildah(err) && build(options, id_file, err) && read_id(id_file, &id, err) &&
	       take_out(id, folder, err);
}
