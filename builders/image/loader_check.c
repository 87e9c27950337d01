#include "builders/image/loader_check.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "builders/image/loader_list.h"
#include "builders/image/loader_root.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	BIND_LIMIT = 2000,
	PRELOAD_LIMIT = 100 << 10, /* bytes; the kernel takes 128 KiB a text */
	OUTPUT_LIMIT = 4 << 20,
	TIMEOUT_MS = 60000,
	KEPT_LIMIT = 512,
};

struct loader_check {
	const struct closure *closure;
	const struct tree *tree;
	const char *architecture;
	struct loader_root root;
	char *mark;             /* owned; file that says it agreed; NULL: no cache */
	size_t program;         /* that is being listed; closure_count: none is */
	bool plug_ins;          /* with its plug-ins */
	struct process process; /* all-zero: none runs */
	int output;             /* a file in memory; -1 */
	enum loader_check_result result;
	char *note; /* owned */
	struct error failed;
};

const char *loader_check_result_name(enum loader_check_result result)
{
	static const char *const names[] = {"static", "agrees", "unchanged", "skipped"};

	return names[result];
}

/* The next program with a loader, from index on. */
static size_t program_from(const struct loader_check *check, size_t index)
{
	while (index < closure_count(check->closure)) {
		const struct library *l = closure_at(check->closure, index);
		if (l->role == LIBRARY_PROGRAM && l->file->elf.interpreter.size > 0)
			break;
		index++;
	}
	return index;
}

static void skip(struct loader_check *check, char *note)
{
	check->result = LOADER_CHECK_SKIPPED;
	check->note = note;
	check->program = closure_count(check->closure);
}

/* The plug-ins that the first program may load, as LD_PRELOAD wants them. One that needs nothing has
 * nothing to be found. */
static bool put_plug_ins(const struct loader_check *check, struct strings *env)
{
	scoped(buf_free) struct buf list = {0};

	for (size_t i = 0; i < closure_count(check->closure); i++) {
		const struct library *l = closure_at(check->closure, i);
		if (l->role == LIBRARY_PROGRAM && l->opener && l->file->elf.needed_count > 0 &&
			!strpbrk(l->image_path, ": ") &&
			list.size + strlen(l->image_path) < PRELOAD_LIMIT)
			buf_printf(&list, "%s%s", list.size ? ":" : "", l->image_path);
	}
	if (list.size > 0)
		strings_printf(env, "LD_PRELOAD=%s", buf_text(&list));
	return list.size > 0;
}

/* Libraries for newer processors stay out of the list: it must be the same on every machine. */
static bool knows_hwcaps(const struct library *program)
{
	static const char option[] = "--glibc-hwcaps-mask";
	struct error ignored = {0};
	scoped(text_free) char *path = str_copy(program->file->elf.interpreter);
	scoped(buf_free) struct buf loader = {0};

	if (file_read(path, 16 << 20, &loader, &ignored))
		return memmem(loader.data, loader.size, option, sizeof(option)) != NULL;
	error_ignore(&ignored, "the sandbox will say so");
	return false;
}

/* env: the plug-ins, or empty. */
static void start(struct loader_check *check, const struct strings *env)
{
	const struct library *program = closure_at(check->closure, check->program);
	scoped(text_free) char *loader = str_copy(program->file->elf.interpreter);
	scoped(strings_free) struct strings argv = {0}, inner = {0};
	struct error err = {0};

	strings_add(&inner, loader);
	if (knows_hwcaps(program)) {
		strings_add(&inner, "--glibc-hwcaps-mask");
		strings_add(&inner, "none");
	}
	strings_add(&inner, "--list");
	strings_add(&inner, program->image_path);
	sandbox_bare_command(check->root.binds, check->root.bind_count, check->root.links,
		check->root.link_count, (const char *const *)env->items,
		(const char *const *)inner.items, &argv);
	check->output = memfd_create("loader", MFD_CLOEXEC);
	if (check->output < 0) {
		error_raise_errno(&check->failed, "make a file in memory");
		return;
	}
	const struct process_options options = {.argv = (const char *const *)argv.items,
		.stdout_fd = check->output,
		.merge_output = true,
		.die_with_parent = true};
	if (process_start(&options, &check->process, &err))
		return;
	skip(check, memory_format("%s", err.kind == ERROR_NOT_FOUND ? "bubblewrap is not installed"
								    : err.message));
	error_free(&err);
}

static bool may_run(const struct loader_check *check)
{
	const char *native = elf_native_architecture();

	return text_equal(check->architecture, native) ||
	       (text_equal(native, "amd64") && text_equal(check->architecture, "386"));
}

struct loader_check *loader_check_start(const struct closure *closure, const struct tree *tree,
	const char *architecture, const char *cache_folder)
{
	struct loader_check *check = memory_new(sizeof(*check));
	char hex[DIGEST_HEX_SIZE];

	check->closure = closure;
	check->tree = tree;
	check->architecture = architecture;
	check->output = -1;
	check->program = program_from(check, 0);
	if (check->program == closure_count(closure))
		return check;
	check->root = loader_root_of(closure, tree);
	digest_to_hex(&check->root.key, hex);
	if (cache_folder)
		check->mark = memory_format("%s/loader/%s", cache_folder, hex);
	if (check->mark && access(check->mark, F_OK) == 0) {
		check->result = LOADER_CHECK_KNOWN;
		check->program = closure_count(closure);
	} else if (!may_run(check)) {
		skip(check, memory_format("this machine runs linux/%s, not linux/%s",
				    elf_native_architecture(), architecture));
	} else if (check->root.bind_count > BIND_LIMIT) {
		skip(check, memory_format("there are %zu libraries, more than %d",
				    check->root.bind_count, BIND_LIMIT));
	} else {
		start(check, &(struct strings){0});
	}
	return check;
}

static bool wait_for_end(struct loader_check *check, struct process_exit *out_exit,
	struct error *err)
{
	struct pollfd end = {check->process.pidfd, POLLIN, 0};
	int64_t deadline = clock_elapsed(&system_clock) + TIMEOUT_MS;

	for (;;) {
		int64_t left = deadline - clock_elapsed(&system_clock);
		int ready = left > 0 ? poll(&end, 1, (int)left) : 0;
		if (ready > 0)
			return process_wait(&check->process, out_exit, err);
		if (left <= 0)
			break;
	}
	process_stop(&check->process, 0, out_exit);
	return error_raise(err, ERROR_TIMED_OUT,
		"the image's own loader did not list the libraries of %s within %d seconds",
		closure_at(check->closure, check->program)->name, TIMEOUT_MS / 1000);
}

static bool read_output(struct loader_check *check, struct buf *out, struct error *err)
{
	ssize_t size;

	if (lseek(check->output, 0, SEEK_SET) < 0)
		return error_raise_errno(err, "rewind the loader's list");
	while (out->size < OUTPUT_LIMIT &&
		(size = read(check->output, buf_reserve(out, 65536), 65536)) > 0)
		out->size += (size_t)size;
	close(check->output);
	check->output = -1;
	return true;
}

/* bubblewrap's own words begin with its name: then there was no list. A loader that is not where the
 * program looks for it is what this check is for. */
static bool was_not_run(struct loader_check *check, const struct process_exit *exit,
	struct str output)
{
	struct str rest = output, line = str_cut(&rest, '\n');

	if ((exit->exited && exit->status == 0) || !str_starts_with(line, "bwrap: ") ||
		(str_starts_with(line, "bwrap: execvp ") &&
			!str_ends_with(line, ": Exec format error")))
		return false;
	skip(check, memory_format("the sandbox does not work here: %.*s", str_args(line)));
	return true;
}

/* Waits for the program that is being listed. */
static bool take_list(struct loader_check *check, struct error *err)
{
	scoped(buf_free) struct buf output = {0};
	struct process_exit exit = {0};

	if (!wait_for_end(check, &exit, err) || !read_output(check, &output, err))
		return false;
	process_free(&check->process);
	if (was_not_run(check, &exit, buf_str(&output)))
		return true;
	if (!loader_list_compare(check->closure, check->tree, check->program, check->plug_ins,
		    buf_str(&output), err)) {
		if (process_exit_code(&exit) != 0)
			error_while(err, "the loader ended with status %d and said: %.*s",
				process_exit_code(&exit), str_args(str_trim(buf_str(&output))));
		return false;
	}
	check->result = LOADER_CHECK_AGREES;
	return true;
}

/* A mark is an empty file; when there are many, all go. It is a help, never a must. */
static void remember(const struct loader_check *check)
{
	scoped(strings_free) struct strings names = {0};
	struct error ignored = {0};

	if (!check->mark || check->result != LOADER_CHECK_AGREES)
		return;
	scoped(text_free) char *folder = path_parent(check->mark);
	if (folder_list(folder, &names, &ignored) && names.count > KEPT_LIMIT &&
		!folder_remove(folder, &ignored))
		error_ignore(&ignored, "the next one tries again");
	error_ignore(&ignored, "there is no folder yet");
	if (!folder_make(folder, 0700, &ignored) ||
		!file_write(check->mark, (struct str){0}, 0600, false, &ignored))
		error_ignore(&ignored, "the next build lists again");
}

/* The first program is listed again with its plug-ins; then the other programs. */
static void start_next(struct loader_check *check)
{
	scoped(strings_free) struct strings env = {0};

	check->plug_ins = check->program == 0 && !check->plug_ins && put_plug_ins(check, &env);
	if (!check->plug_ins)
		check->program = program_from(check, check->program + 1);
	if (check->program < closure_count(check->closure))
		start(check, &env);
}

bool loader_check_finish(struct loader_check *check, enum loader_check_result *out_result,
	char **out_note, struct error *err)
{
	while (check->program < closure_count(check->closure)) {
		if (check->failed.kind != ERROR_NONE) {
			error_move(err, &check->failed);
			return false;
		}
		if (!take_list(check, err))
			return false;
		if (check->result == LOADER_CHECK_SKIPPED)
			break;
		start_next(check);
	}
	remember(check);
	*out_result = check->result;
	*out_note = check->note;
	check->note = NULL;
	return true;
}

void loader_check_free(struct loader_check **check)
{
	struct process_exit ignored;

	if (!*check)
		return;
	if ((*check)->process.pid)
		process_stop(&(*check)->process, 0, &ignored);
	process_free(&(*check)->process);
	if ((*check)->output >= 0)
		close((*check)->output);
	loader_root_free(&(*check)->root);
	error_free(&(*check)->failed);
	free((*check)->mark);
	free((*check)->note);
	free(*check);
	*check = NULL;
}
