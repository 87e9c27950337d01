#include "pipeline/engine/image_stage.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"
#include "pipeline/plan/key.h"

enum { ARTIFACTS_SHOWN = 8, BUILDSPEC_LIMIT = 1 << 20 };

static void add_flag(struct strings *argv, const char *flag, const char *value)
{
	strings_add(argv, flag);
	strings_add(argv, value);
}

/* A file of the image is what the build made under that name, else the commit's. */
static bool add_files(const struct image_stage *stage, struct strings *argv, struct error *err)
{
	const struct project_pairs *files = &stage->service->image.files;

	if (!folder_remove(stage->files, err))
		return false;
	for (size_t i = 0; i < files->count; i++) {
		scoped(text_free) char *made =
			memory_format("%s/artifacts/%s", stage->output, files->items[i].name);
		scoped(text_free) char *path =
			project_service_file(stage->service, files->items[i].name);
		scoped(text_free) char *given = path_join(stage->files, path);
		const char *only[] = {path};
		bool built = file_exists(made);

		if (!built && !file_exists(given) &&
			!snapshot_checkout(stage->snapshot, only, 1, stage->files, NULL, err))
			return false;
		strings_add(argv, "--file");
		strings_printf(argv, "%s:%s", built ? made : given, files->items[i].value);
	}
	return true;
}

static bool need_binary(const struct image_stage *stage, struct error *err)
{
	const char *binary = stage->service->image.binary;
	scoped(text_free) char *artifacts = path_join(stage->output, "artifacts");
	scoped(text_free) char *path = path_join(artifacts, binary);
	scoped(buf_free) struct buf list = {0};
	scoped(strings_free) struct strings names = {0};

	if (file_exists(path))
		return true;
	error_raise(err, ERROR_INVALID, "the build of \"%s\" left no artifact \"%s\"",
		stage->service->name, binary);
	if (!folder_list(artifacts, &names, NULL) || !names.count)
		return error_next(err, "name it below artifacts: files: in %s",
			stage->service->buildspec);
	for (size_t i = 0; i < names.count && i < ARTIFACTS_SHOWN; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", names.items[i]);
	return error_next(err,
		"image.binary must be one of them, with its path among the "
		"artifacts: %s",
		buf_text(&list));
}

static bool add_program(const struct image_stage *stage, struct strings *argv, struct error *err)
{
	const struct project_image *image = &stage->service->image;

	if (!need_binary(stage, err))
		return false;
	strings_add(argv, "--binary");
	strings_printf(argv, "%s/artifacts/%s", stage->output, image->binary);
	if (image->base)
		add_flag(argv, "--base", image->base);
	if (image->linker_map) {
		strings_add(argv, "--linker-map");
		strings_printf(argv, "%s/artifacts/%s", stage->output, image->linker_map);
	}
	for (size_t i = 0; i < image->with.count; i++)
		add_flag(argv, "--with", image->with.items[i]);
	for (size_t i = 0; i < image->hwcaps.count; i++)
		add_flag(argv, "--hwcaps", image->hwcaps.items[i]);
	if (image->allow)
		add_flag(argv, "--allow", image->allow);
	return add_files(stage, argv, err);
}

static bool add_dockerfile(const struct image_stage *stage, struct strings *argv, struct error *err)
{
	scoped(text_free) char *context = NULL;

	if (!image_stage_context(stage, &context, err))
		return false;
	strings_add(argv, "--dockerfile");
	strings_printf(argv, "%s/%s", context, stage->service->image.dockerfile);
	add_flag(argv, "--context", context);
	return true;
}

bool image_stage_arguments(const struct image_stage *stage, struct strings *argv, struct error *err)
{
	const struct project_image *image = &stage->service->image;

	strings_add(argv, "image");
	strings_add(argv, "build");
	if (image->dockerfile ? !add_dockerfile(stage, argv, err) : !add_program(stage, argv, err))
		return false;
	for (size_t i = 0; i < image->args.count; i++)
		add_flag(argv, "--arg", image->args.items[i]);
	project_pairs_add(&image->env, "--env", argv);
	project_pairs_add(&image->labels, "--label", argv);
	project_pairs_add(&image->allow_secrets, "--allow-secret", argv);
	strings_add(argv, "--secrets-of");
	strings_printf(argv, "%s/%s", stage->output, EXECUTOR_RESULT);
	for (size_t i = 0; i < image->packages.count; i++)
		add_flag(argv, "--package", image->packages.items[i]);
	if (image->debug)
		strings_add(argv, "--debug");
	if (image->sbom)
		strings_add(argv, "--sbom");
	if (image->port) {
		strings_add(argv, "--port");
		strings_printf(argv, "%lld", (long long)image->port);
	}
	if (image->user)
		add_flag(argv, "--user", image->user);
	if (image->compression)
		add_flag(argv, "--compression", image->compression);
	return true;
}

static bool put_buildspec(struct json_writer *w, const struct image_stage *stage, struct error *err)
{
	scoped(text_free) char *path =
		project_service_file(stage->service, stage->service->buildspec);
	scoped(buf_free) struct buf text = {0};
	struct error none = {0};
	char hex[DIGEST_HEX_SIZE];

	if (!snapshot_read(stage->snapshot, path, BUILDSPEC_LIMIT, &text, &none)) {
		if (none.kind == ERROR_NOT_FOUND) {
			error_ignore(&none, "then there is none to note");
			return true;
		}
		error_move(err, &none);
		return false;
	}
	struct digest digest = digest_of(text.data, text.size);
	digest_to_hex(&digest, hex);
	json_key(w, "buildspec");
	json_object_begin(w);
	json_put_text(w, "path", path);
	json_put_text(w, "sha256", hex);
	json_object_end(w);
	return true;
}

bool image_stage_write_facts(const struct image_stage *stage, const struct image_origin *origin,
	const char *path, struct error *err)
{
	scoped(text_free) char *toolchain = key_toolchain();
	scoped(text_free) char *place = repository_origin(origin->repository);
	scoped(buf_free) struct buf text = {0};
	struct json_writer w = json_writer_start(&text);
	char time[TIME_TEXT_SIZE];

	json_object_begin(&w);
	json_put_text(&w, "repository", place);
	json_put_text(&w, "commit", snapshot_commit(stage->snapshot));
	json_put_text(&w, "service", stage->service->name);
	if (!put_buildspec(&w, stage, err))
		return error_while(err, "noting where the image of \"%s\" comes from",
			stage->service->name);
	if (origin->key)
		json_put_text(&w, "key", origin->key);
	if (*toolchain)
		json_put_text(&w, "toolchain", toolchain);
	if (origin->run) {
		json_key(&w, "invocation");
		json_write_format(&w, "run %lld", (long long)origin->run);
	}
	if (origin->started_ms) {
		time_to_rfc3339(origin->started_ms, time);
		json_put_text(&w, "started_at", time);
	}
	json_object_end(&w);
	return file_write(path, buf_str(&text), 0600, false, err);
}
