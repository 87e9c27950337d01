#include "builders/image/dockerfile.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/base_image.h"
#include "builders/image/buildah.h"
#include "builders/image/config_rewrite.h"
#include "builders/image/foreign_layer.h"
#include "builders/image/image_options.h"
#include "builders/image/scratch.h"

#include <fcntl.h>
#include <stdlib.h>

enum { CONFIG_LIMIT = 4 << 20, DOCKERFILE_LIMIT = 1 << 20 };

struct work {
	const struct dockerfile_options *options;
	struct image *image;
	struct scratch scratch; /* what buildah left */
	struct layout layout;
	struct manifest manifest;
	struct image_facts facts;
	struct json *config; /* owned */
	struct packer *packer;
	struct foreign_spool spool;
	struct leak_fence *fence;
	int64_t created_s;
};

static void work_free(struct work *work)
{
	scratch_close(&work->scratch);
	layout_free(&work->layout);
	manifest_free(&work->manifest);
	image_facts_free(&work->facts);
	json_free(&work->config);
	packer_free(&work->packer);
	foreign_spool_close(&work->spool);
	leak_fence_free(&work->fence);
}

static char *part_path(const struct work *work, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	return memory_format("%s/image/%s", work->scratch.path, hex);
}

/* Is there an instruction RUN? */
static bool has_run(struct str text)
{
	while (text.data) {
		struct str line = str_trim(str_cut(&text, '\n'));
		struct str word = {line.data, line.size < 4 ? 0 : 3};

		if (str_equal_ignoring_case(word, str_literal("RUN")) &&
			(line.data[3] == ' ' || line.data[3] == '\t'))
			return true;
	}
	return false;
}

static bool read_dockerfile(struct work *work, struct error *err)
{
	const char *file = work->options->file;
	scoped(buf_free) struct buf text = {0};

	if (!file_exists(file) || file_is_folder(file)) {
		error_raise(err, ERROR_NOT_FOUND, "there is no Dockerfile \"%s\"", file);
		return error_next(err, "--dockerfile names the file itself, not its folder");
	}
	if (!file_read(file, DOCKERFILE_LIMIT, &text, err))
		return false;
	work->image->runs_commands = has_run(buf_str(&text));
	return true;
}

static bool build(struct work *work, struct error *err)
{
	const struct dockerfile_options *options = work->options;
	scoped(text_free) char *parent = path_parent(options->file);

	if (!scratch_open("dogshore-dockerfile-", &work->scratch, err))
		return false;
	scoped(text_free) char *image = path_join(work->scratch.path, "image");
	return buildah_build(&(struct buildah_options){.file = options->file,
				     .context = options->context ? options->context : parent,
				     .build_args = options->build_args,
				     .target = options->target,
				     .platform = options->image.platform,
				     .secrets = options->image.secrets,
				     .no_cache = options->no_cache},
		work->scratch.path, image, err);
}

static bool read_documents(struct work *work, struct error *err)
{
	scoped(text_free) char *path = path_join(work->scratch.path, "image/manifest.json");
	scoped(buf_free) struct buf manifest = {0}, config = {0};

	if (!file_read(path, MANIFEST_LIMIT, &manifest, err) ||
		!manifest_parse(buf_str(&manifest), NULL, "buildah's manifest", &work->manifest,
			err))
		return false;
	if (work->manifest.is_index)
		return error_raise(err, ERROR_PROTOCOL, "buildah made an index of several images");
	scoped(text_free) char *config_path = part_path(work, &work->manifest.config.digest);
	if (!file_read(config_path, CONFIG_LIMIT, &config, err) ||
		!config_parse(buf_str(&config), "buildah's configuration", &work->facts, err) ||
		!json_parse(buf_str(&config), "buildah's configuration", NULL, &work->config, err))
		return false;
	if (work->manifest.count > BASE_LAYER_LIMIT && !work->options->squash) {
		error_raise(err, ERROR_LIMIT,
			"it has %zu layers, one for each step, over the %d that runtimes stack",
			work->manifest.count, BASE_LAYER_LIMIT);
		return error_next(err, "--squash makes one of them; or join steps");
	}
	if (work->facts.diff_id_count == work->manifest.count)
		return true;
	return error_raise(err, ERROR_PROTOCOL,
		"buildah's manifest names %zu layers, its configuration %zu", work->manifest.count,
		work->facts.diff_id_count);
}

static bool read_layer(struct work *work, size_t number, struct foreign_tree *out_tree,
	struct error *err)
{
	scoped(text_free) char *path = part_path(work, &work->manifest.items[number].digest);
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct digest diff_id;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	if (!foreign_layer_read(fd, &work->spool, out_tree, &diff_id, err))
		return error_while(err, "reading layer %zu of %zu that buildah made", number + 1,
			work->manifest.count);
	if (digest_equal(&diff_id, &work->facts.diff_ids[number]))
		return true;
	foreign_tree_free(out_tree);
	return error_raise(err, ERROR_INVALID,
		"layer %zu of %zu that buildah made has another digest than its configuration says",
		number + 1, work->manifest.count);
}

static bool write_layer(struct work *work, const struct foreign_tree *tree, struct error *err)
{
	scoped(layout_blob_discard) struct layout_blob blob = {0};
	struct image *image = work->image;
	struct layer *layer = &image->layers[image->layer_count];

	*layer = (struct layer){.kind = LAYER_DOCKERFILE,
		.compression = work->options->image.compression,
		.entry_count = tree->count};
	if (!layout_blob_create(&work->layout, &blob, err))
		return false;
	packer_begin(work->packer, blob.fd, work->layout.path);
	if (!foreign_tree_pack(tree, &work->spool, work->created_s, work->fence, work->packer,
		    err) ||
		!packer_finish(work->packer, &layer->packed, err) ||
		!layout_blob_commit(&work->layout, &blob, &layer->packed.digest, err))
		return false;
	image->layer_count++;
	image->size_bytes += layer->packed.size_bytes;
	return true;
}

static bool write_each(struct work *work, struct error *err)
{
	for (size_t i = 0; i < work->manifest.count; i++) {
		scoped(foreign_tree_free) struct foreign_tree tree = {0};

		if (!read_layer(work, i, &tree, err) || !write_layer(work, &tree, err))
			return false;
	}
	return true;
}

static bool write_squashed(struct work *work, struct error *err)
{
	scoped(foreign_tree_free) struct foreign_tree all = {0};

	for (size_t i = 0; i < work->manifest.count; i++) {
		scoped(foreign_tree_free) struct foreign_tree tree = {0};

		if (!read_layer(work, i, &tree, err))
			return false;
		if (!foreign_tree_merge(&all, &tree, err))
			return error_while(err, "laying layer %zu over those below", i + 1);
	}
	return write_layer(work, &all, err);
}

static bool write_layers(struct work *work, struct error *err)
{
	struct image *image = work->image;

	if (!foreign_spool_open(&work->spool, err))
		return false;
	work->packer = packer_new(work->options->image.compression);
	image->layers = memory_new_array(work->manifest.count + 1, sizeof(image->layers[0]));
	return work->options->squash ? write_squashed(work, err) : write_each(work, err);
}

static void write_config(const struct work *work, struct buf *out)
{
	const struct image_options *laid = &work->options->image;
	const struct image *image = work->image;
	struct digest *diff_ids = memory_new_array(image->layer_count + 1, sizeof(*diff_ids));
	scoped(json_free) struct json *history =
		history_normalise(json_get(work->config, "history"), work->options->squash);

	for (size_t i = 0; i < image->layer_count; i++)
		diff_ids[i] = image->layers[i].packed.diff_id;
	config_rewrite(work->config,
		&(struct config_changes){.user = laid->user,
			.args = laid->args,
			.env = laid->env,
			.labels = laid->labels,
			.port = laid->port,
			.created_s = work->created_s,
			.diff_ids = diff_ids,
			.diff_id_count = image->layer_count,
			.history = history},
		out);
	free(diff_ids);
}

static void search(struct work *work, const char *kind, const struct strings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct str rest = str_of(list->items[i]), name = str_cut(&rest, '=');
		/* An argument has no name, and what stands before '=' may be a secret. */
		scoped(text_free) char *where =
			text_equal(kind, "arg") ? memory_format("%s:%zu", kind, i + 1)
						: memory_format("%s:%.*s", kind, str_args(name));
		leak_fence_text(work->fence, where, str_of(list->items[i]));
	}
}

/* A step is named with the values of the build arguments that it was given. */
static void search_history(struct work *work)
{
	const struct json *history = json_get(work->config, "history");

	for (size_t i = 0; i < json_count(history); i++) {
		scoped(text_free) char *where = memory_format("history:%zu", i + 1);
		leak_fence_text(work->fence, where,
			json_str(json_get(json_at(history, i), "created_by")));
	}
}

/* What stands in the configuration can be read by whoever may pull the image. */
static bool check_secrets(struct work *work, const struct buf *config, struct error *err)
{
	scoped(image_facts_free) struct image_facts facts = {0};

	if (!config_parse(buf_str(config), "the configuration", &facts, err))
		return false;
	search(work, "env", &facts.env);
	search(work, "label", &facts.labels);
	search(work, "arg", &facts.args);
	search(work, "arg", &facts.entrypoint);
	search_history(work);
	return leak_fence_verdict(work->fence, &work->image->warnings, err);
}

static bool write_documents(struct work *work, struct error *err)
{
	struct image *image = work->image;
	scoped(buf_free) struct buf config = {0}, manifest = {0};
	struct layout_entry entry = {.media_type = MEDIA_TYPE_MANIFEST};

	write_config(work, &config);
	if (!check_secrets(work, &config, err))
		return false;
	if (!layout_write_blob(&work->layout, buf_str(&config), &image->config_digest, err))
		return false;
	manifest_write(&image->config_digest, (int64_t)config.size, image->layers,
		image->layer_count, &manifest);
	if (!layout_write_blob(&work->layout, buf_str(&manifest), &image->digest, err))
		return false;
	image->size_bytes += (int64_t)(config.size + manifest.size);
	image->architecture = memory_copy_text(work->facts.architecture);
	entry.digest = image->digest;
	entry.size_bytes = (int64_t)manifest.size;
	return layout_set_tag(&work->layout, image->tag, &entry, image->architecture, err);
}

bool dockerfile_build(const struct dockerfile_options *options, struct image *out_image,
	struct error *err)
{
	scoped(image_free) struct image image = {0};
	scoped(work_free) struct work work = {.options = options, .image = &image};

	if (!image_options_check(&options->image, err) || !image_read_epoch(&work.created_s, err) ||
		!layout_reference_parse(options->image.output, &image.layout, &image.tag, err) ||
		!leak_fence_new(options->image.secrets, options->image.allowed_secrets, &work.fence,
			err) ||
		!read_dockerfile(&work, err))
		return false;
	/* The layout first: a build is long, and a place that cannot be used is known now. */
	if (!layout_create(image.layout, &work.layout, err) || !build(&work, err) ||
		!read_documents(&work, err) || !write_layers(&work, err) ||
		!write_documents(&work, err))
		return error_while(err, "making an image of \"%s\"", options->file);
	*out_image = image;
	image = (struct image){0};
	return true;
}
