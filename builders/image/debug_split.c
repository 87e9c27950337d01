#include "builders/image/debug_split.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "builders/image/elf.h"
#include "builders/image/kept_folder.h"
#include "builders/image/layer_cache.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
	KEPT_LIMIT = 64,
	TIMEOUT_MS = 10 * 60 * 1000,
};

void debug_split_free(struct debug_split *split)
{
	text_free(&split->program);
	text_free(&split->debug);
	text_free(&split->build_id);
}

/* What the file looks like, without reading it. False when it changed so lately that a change from
 * now on would not show. */
static bool key_of(const char *source, struct digest *out_key, struct error *err)
{
	struct stat status;
	struct timespec now;

	if (stat(source, &status) < 0) {
		error_raise_errno(err, "read \"%s\"", source);
		return false;
	}
	int64_t changed_ns = (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec;
	int64_t fields[] = {(int64_t)status.st_dev, (int64_t)status.st_ino, status.st_size,
		status.st_mtim.tv_sec, status.st_mtim.tv_nsec, changed_ns};

	*out_key = digest_of(fields, sizeof(fields));
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - changed_ns > LAYER_CACHE_QUIET_NS;
}

static const char *objcopy_of(const struct elf *elf)
{
	const char *architecture = elf_architecture(elf);

	if (!architecture || text_equal(architecture, elf_native_architecture()))
		return "objcopy";
	if (text_equal(architecture, "arm64"))
		return "aarch64-linux-gnu-objcopy";
	return text_equal(architecture, "amd64") ? "x86_64-linux-gnu-objcopy" : "objcopy";
}

static bool run_objcopy(const char *const *argv, struct error *err)
{
	scoped(process_result_free) struct process_result result = {0};
	struct process_options options = {.argv = argv,
		.merge_output = true,
		.same_group = true,
		.die_with_parent = true};

	if (!process_run(&options, (struct str){0}, TIMEOUT_MS, 0, &result, err))
		return error_next(err, "install binutils (for another machine, for example, "
				       "binutils-aarch64-linux-gnu), or leave out --debug");
	if (!result.exit.exited || result.exit.status != 0)
		return error_raise(err, ERROR_FAILED, "%s failed: %.400s", argv[0],
			buf_text(&result.output));
	return true;
}

static bool make(const char *source, const char *objcopy, const char *work, struct error *err)
{
	scoped(text_free) char *made = path_join(work, "made");
	scoped(text_free) char *program = path_join(made, "program");
	scoped(text_free) char *debug = path_join(made, "debug");
	const char *const keep[] = {objcopy, "--only-keep-debug", "--compress-debug-sections",
		source, debug, NULL};
	const char *const strip[] = {objcopy, "--strip-all", source, program, NULL};

	return folder_make(made, 0700, err) && run_objcopy(keep, err) && run_objcopy(strip, err);
}

/* The folder with both files, owned: one that is kept, or a new one. */
static bool find_or_make(const char *source, const struct elf_file *file, const char *folder,
	char **out_path, struct error *err)
{
	struct error odd = {0};
	struct digest key;
	bool quiet = key_of(source, &key, &odd);

	if (odd.kind != ERROR_NONE) {
		*err = odd;
		return false;
	}
	if (quiet && kept_folder_find(folder, &key, "debug-", out_path))
		return true;
	struct hasher *hasher = hasher_new();
	hasher_add(hasher, "debug 1", 7);
	hasher_add(hasher, file->bytes.data, file->bytes.size);
	struct digest content = hasher_finish(hasher);
	hasher_free(&hasher);
	scoped(text_free) char *id = kept_folder_id("debug", &content), *work = NULL;
	if (kept_folder_has(folder, id, out_path))
		return !quiet || kept_folder_note(folder, &key, id, err);

	if (!folder_make(folder, 0700, err) || !folder_make_temporary(folder, "new-", &work, err))
		return false;
	scoped(text_free) char *made = path_join(work, "made");
	bool ok = make(source, objcopy_of(&file->elf), work, err) &&
		  kept_folder_keep(made, folder, quiet ? &key : &content, id, KEPT_LIMIT, out_path,
			  err);
	if (!folder_remove(work, &odd))
		error_ignore(&odd, "a work folder stays behind");
	return ok;
}

bool debug_split(const char *source, const char *folder, struct debug_split *out_split,
	struct error *err)
{
	scoped(elf_file_close) struct elf_file file = {0};
	scoped(buf_free) struct buf build_id = {0};
	scoped(text_free) char *path = NULL;

	if (!elf_file_open(source, &file, err))
		return false;
	if (!elf_has_section(&file.elf, file.bytes, ".debug_info") &&
		!elf_has_section(&file.elf, file.bytes, ".zdebug_info")) {
		*out_split = (struct debug_split){.program = memory_copy_text(source)};
		return true;
	}
	if (file.elf.build_id.size == 0) {
		error_raise(err, ERROR_INVALID, "\"%s\" has no build id", source);
		return error_next(err,
			"debuggers find debug information by it: link with "
			"-Wl,--build-id (with clang, or gcc that was built without)");
	}
	if (!find_or_make(source, &file, folder, &path, err))
		return error_while(err, "splitting the debug information off \"%s\"", source);
	hex_append(&build_id, file.elf.build_id.data, file.elf.build_id.size);
	*out_split = (struct debug_split){.program = path_join(path, "program"),
		.debug = path_join(path, "debug"),
		.build_id = buf_take(&build_id)};
	return true;
}
