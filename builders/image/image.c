#include "builders/image/image.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/base_image.h"
#include "builders/image/closure.h"
#include "builders/image/image_options.h"
#include "builders/image/leak_fence.h"
#include "builders/image/package_files.h"
#include "builders/image/reasons.h"

#include <stdlib.h>

/* A second packer costs more than it saves for fewer layers, and for such that are larger. */
enum { TURNS_FROM = 4, TURNS_BYTES = 16 << 20 };

void image_free(struct image *image)
{
	free(image->architecture);
	free(image->layout);
	free(image->tag);
	free(image->program);
	free(image->loader_note);
	free(image->base_name);
	for (size_t i = 0; i < image->layer_count; i++)
		layer_free(&image->layers[i]);
	free(image->layers);
	tree_free(&image->tree);
	package_database_free(&image->packages);
	package_root_free(&image->root);
	debug_files_free(&image->debug);
	strings_free(&image->warnings);
	*image = (struct image){0};
}

struct builder {
	const struct image_options *options;
	struct image *image;
	struct closure *closure;
	struct loader_check *check;
	struct strings env; /* the user's, and ours */
	struct leak_fence *fence;
	struct packer *packer;
	const char *user;
};

static void builder_free(struct builder *builder)
{
	loader_check_free(&builder->check);
	closure_free(&builder->closure);
	leak_fence_free(&builder->fence);
	packer_free(&builder->packer);
	strings_free(&builder->env);
}

static bool check_platform(struct builder *b, struct error *err)
{
	const char *platform = b->options->platform;

	if (!platform) {
		b->image->architecture = memory_copy_text(elf_native_architecture());
		return true;
	}
	if (text_starts_with(platform, "linux/") && elf_machine_of_architecture(platform + 6)) {
		b->image->architecture = memory_copy_text(platform + 6);
		return true;
	}
	error_raise(err, ERROR_USAGE, "the platform \"%s\" is not known", platform);
	return error_next(err, "write linux/amd64 or linux/arm64");
}

static bool check_options(struct builder *b, struct error *err)
{
	const struct image_options *options = b->options;

	b->user = options->user ? options->user : IMAGE_DEFAULT_USER;
	if (!options->user && options->base && options->base->facts.user[0])
		b->user = NULL;
	return check_platform(b, err) && image_options_check(options, err) &&
	       image_read_epoch(&b->image->created_s, err) &&
	       layout_reference_parse(options->output, &b->image->layout, &b->image->tag, err);
}

/* A program or plug-in, with what it needs; without its debug information when that is kept apart. */
static bool add_elf(struct builder *b, const char *source, const char *path, const char *why,
	struct error *err)
{
	scoped(text_free) char *stripped = NULL;

	if (!closure_add(b->closure, source, path, err))
		return false;
	if (b->options->debug_folder &&
		!debug_files_split(&b->image->debug, source, path, b->options->debug_folder,
			&b->image->warnings, &stripped, err))
		return false;
	return tree_add_file(&b->image->tree, path, stripped ? stripped : source, LAYER_PROGRAM,
		why, err);
}

static bool add_program(struct builder *b, struct error *err)
{
	const char *source = b->options->binary;

	b->image->program = memory_format("/app/%s", path_base(source));
	if (!add_elf(b, source, b->image->program, "it is the program", err))
		return false;
	if (elf_can_start(&closure_at(b->closure, 0)->file->elf))
		return true;
	error_raise(err, ERROR_INVALID, "\"%s\" is a shared library, not a program", source);
	return error_next(err, "name the program; libraries and plug-ins come along by --file");
}

/* Is the file at path an ELF file? One that cannot be read is found out about when it is added. */
static bool file_is_elf(const char *path)
{
	FILE *file = fopen(path, "re");
	char start[4];
	bool result = file && fread(start, sizeof(start), 1, file) == 1 &&
		      elf_is((struct str){start, sizeof(start)});

	if (file)
		fclose(file);
	return result;
}

/* "SRC:DST", a DST that ends in '/' takes SRC's name. Both owned. */
static bool parse_file(const char *text, char **out_source, char **out_path, struct error *err)
{
	const char *colon = strrchr(text, ':');

	if (!colon || colon == text || colon[1] != '/') {
		error_raise(err, ERROR_USAGE, "the file \"%s\" does not say where it goes", text);
		return error_next(err,
			"write SOURCE:/absolute/path, for example config/a.json:/etc/app/a.json");
	}
	*out_source = memory_copy(text, (size_t)(colon - text));
	*out_path = text_ends_with(colon, "/") && !file_is_folder(*out_source)
			    ? memory_format("%s%s", colon + 1, path_base(*out_source))
			    : memory_copy_text(colon + 1);
	return true;
}

/* A further program or plug-in brings its libraries along and is as new as the program. */
static bool add_file(struct builder *b, const char *text, struct error *err)
{
	scoped(text_free) char *source = NULL, *path = NULL;

	if (!parse_file(text, &source, &path, err))
		return false;
	const char *why = "it was named by --file";
	bool is_folder = file_is_folder(source);
	bool ok = !is_folder && file_is_elf(source)
			  ? add_elf(b, source, path, why, err)
			  : (!is_folder || closure_add_folder(b->closure, source, path, err)) &&
				    tree_add_all(&b->image->tree, path, source, LAYER_CONFIGURATION,
					    why, err);
	return ok || error_while(err, "adding the file \"%s\"", text);
}

struct fixed_file {
	const char *path, *content, *why;
};

/* What a program meets on any system; a file the user names comes first. */
static const struct fixed_file fixed_files[] = {
	{"/etc/passwd",
		"root:x:0:0:root:/root:/sbin/nologin\n"
		"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
		"nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
		"getpwuid() finds the user there"},
	{"/etc/group", "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n",
		"getgrgid() finds the group there"},
	{"/etc/nsswitch.conf",
		"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n"
		"protocols: files\n",
		"glibc learns there to look up names in files and by DNS only"},
};

static bool add_fixed(struct builder *b, struct error *err)
{
	struct tree *tree = &b->image->tree;

	for (size_t i = 0; i < countof(fixed_files); i++) {
		const struct fixed_file *file = &fixed_files[i];
		scoped(text_free) char *path = NULL;

		if (!tree_resolve(tree, file->path, &path, err))
			return false;
		if (!tree_find(tree, path) &&
			!tree_add_content(tree, file->path, str_of(file->content), LAYER_BASE,
				file->why, err))
			return false;
	}
	if (tree_find(tree, "tmp"))
		return true;
	return tree_add_folder(tree, "/tmp", 01777, LAYER_BASE,
		"programs put temporary files there", err);
}

static bool has_name(const struct strings *env, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->items[i], name, size) == 0 && env->items[i][size] == '=')
			return true;
	return false;
}

static void collect_env(struct builder *b)
{
	for (size_t i = 0; b->options->env && i < b->options->env->count; i++)
		strings_add(&b->env, b->options->env->items[i]);
	if (tree_find(&b->image->tree, "etc/ssl/certs/ca-certificates.crt") &&
		!has_name(&b->env, "SSL_CERT_FILE"))
		strings_add(&b->env, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt");
}

/* What is from Debian packages, and what these bring along. */
static bool add_packages(struct builder *b, struct error *err)
{
	const char *cache = b->options->cache_folder;
	scoped(text_free) char *index = cache ? path_join(cache, "packages") : NULL;
	struct package_places places = {.dpkg = b->options->dpkg_folder, .index = index};

	if (!b->image->root.path && !package_files_possible(&b->image->tree))
		return true;
	if (cache && !folder_make(cache, 0700, err))
		return false;
	return package_database_open(&places, &b->image->packages, err) &&
	       package_files_add(&b->image->tree, b->image->packages, !b->options->base, err);
}

/* Packages come first, so that what the user names takes their place. */
static bool prepare_packages(struct builder *b, struct error *err)
{
	const struct strings *names = b->options->packages;

	if (!names || names->count == 0)
		return true;
	if (!text_equal(b->image->architecture, elf_native_architecture())) {
		error_raise(err, ERROR_USAGE,
			"packages can be had for this machine's kind only, not for linux/%s",
			b->image->architecture);
		return error_next(err, "build the image on such a machine");
	}
	return package_root_prepare(names, b->options->package_folder, &b->image->root, err) &&
	       package_root_add(&b->image->root, &b->image->tree, err);
}

static bool add_needs_of_packages(struct builder *b, struct error *err)
{
	return !b->image->root.path || closure_add_folder(b->closure, b->image->root.path, "", err);
}

static bool collect(struct builder *b, struct error *err)
{
	const struct strings *files = b->options->files;

	if (!prepare_packages(b, err))
		return false;
	b->closure = closure_new(&(struct closure_options){.architecture = b->image->architecture,
					 .with = b->options->with,
					 .hwcaps = b->options->hwcaps,
					 .env = b->options->env,
					 .root = b->image->root.path,
					 .allow_static_glibc = b->options->allow_static_glibc},
		&b->image->tree, &b->image->warnings);
	if (!add_program(b, err) || !add_needs_of_packages(b, err))
		return false;
	for (size_t i = 0; files && i < files->count; i++)
		if (!add_file(b, files->items[i], err))
			return false;
	if (!closure_finish(b->closure, err))
		return false;
	collect_env(b);
	return (b->options->base || add_fixed(b, err)) && add_packages(b, err) &&
	       tree_check(&b->image->tree, err);
}

/* Takes *work. */
static bool end_layer(struct builder *b, size_t number, struct layer_work **work, struct error *err)
{
	struct layer *layer = &b->image->layers[number];

	if (!layer_end(work, layer, err))
		return false;
	b->image->size_bytes += layer->packed.size_bytes;
	return true;
}

/* The last layer first: the program is compressed while OpenSSL is loaded, and what is small comes last,
 * so that both processors end at about the same time. */
static bool build_each(struct builder *b, const struct layer_plan *plan,
	const struct layer_options *options, const struct layout *layout, struct error *err)
{
	for (size_t i = plan->count; i-- > 0;) {
		struct layer_work *work = NULL;

		if (!layer_begin(&b->image->tree, &plan->parts[i], options, layout, &work, err) ||
			!end_layer(b, i, &work, err))
			return false;
	}
	return true;
}

/* With many small layers: while a helper compresses the end of one, the next is read. */
static bool build_in_turns(struct builder *b, const struct layer_plan *plan,
	const struct layer_options *given, const struct layout *layout, struct error *err)
{
	scoped(packer_free) struct packer *second = packer_new(given->compression);
	struct layer_options options[2] = {*given, *given};
	scoped(layer_work_free) struct layer_work *before = NULL;

	options[1].packer = second;
	packer_alternates(options[0].packer);
	packer_alternates(second);
	for (size_t i = plan->count; i-- > 0;) {
		scoped(layer_work_free) struct layer_work *work = NULL;

		if (!layer_begin(&b->image->tree, &plan->parts[i], &options[i % 2], layout, &work,
			    err) ||
			(before && !end_layer(b, i + 1, &before, err)))
			return false;
		before = work;
		work = NULL;
	}
	return !before || end_layer(b, 0, &before, err);
}

/* Does the end of a layer, which one helper compresses alone, matter beside the rest of it? */
static bool takes_turns(const struct tree *tree, const struct layer_plan *plan)
{
	int64_t sum = 0;

	for (size_t i = 0; i < tree->count; i++)
		sum += tree->entries[i].size_bytes;
	return plan->count >= TURNS_FROM && sum / (int64_t)plan->count < TURNS_BYTES;
}

static bool build_layers(struct builder *b, const struct layout *layout, struct error *err)
{
	struct image *image = b->image;
	scoped(layer_cache_free) struct layer_cache cache = {0};
	scoped(layer_plan_free) struct layer_plan plan = layer_plan_of(&image->tree);
	struct layer_options options = {.compression = b->options->compression,
		.packer = b->packer,
		.modified_s = b->image->created_s,
		.fence = b->fence};
	struct digest key = {0};

	if (b->options->cache_folder) {
		cache = layer_cache_of(b->options->cache_folder);
		options.cache = &cache;
		/* Without a key of its own the cache's notes are of no use, and are made again. */
		if (b->options->secrets && b->options->secrets->count > 0 &&
			!layer_cache_secret(&cache, &key))
			random_bytes(&key, sizeof(key));
		options.fence_identity = leak_fence_identity(b->fence, &key);
	}
	image->layers = memory_new_array(plan.count, sizeof(image->layers[0]));
	image->layer_count = plan.count;
	bool done = takes_turns(&image->tree, &plan)
			    ? build_in_turns(b, &plan, &options, layout, err)
			    : build_each(b, &plan, &options, layout, err);
	packer_rest(b->packer);
	return done;
}

/* What is in the image beside files, and whether all of it may leave. */
static bool search_rest(struct builder *b, struct error *err)
{
	leak_fence_settings(b->fence, "env", &b->env);
	leak_fence_settings(b->fence, "label", b->options->labels);
	leak_fence_settings(b->fence, "arg", b->options->args);
	return leak_fence_verdict(b->fence, &b->image->warnings, err);
}

static void write_config(const struct builder *b, struct buf *out)
{
	const struct image_options *options = b->options;
	const struct image *image = b->image;

	if (options->base)
		base_image_write_config(options->base,
			&(struct config_changes){.user = b->user,
				.entrypoint = image->program,
				.args = options->args,
				.env = &b->env,
				.labels = options->labels,
				.port = options->port,
				.created_s = image->created_s},
			image->layers, image->layer_count, out);
	else
		config_write(&(struct image_config){.architecture = image->architecture,
				     .user = b->user,
				     .entrypoint = image->program,
				     .args = options->args,
				     .env = &b->env,
				     .labels = options->labels,
				     .port = options->port,
				     .created_s = image->created_s},
			image->layers, image->layer_count, out);
}

static void write_manifest(const struct builder *b, int64_t config_size, struct buf *out)
{
	const struct image *image = b->image;

	if (b->options->base)
		base_image_write_manifest(b->options->base, &image->config_digest, config_size,
			image->layers, image->layer_count, out);
	else
		manifest_write(&image->config_digest, config_size, image->layers,
			image->layer_count, out);
}

static bool take_base(const struct builder *b, const struct layout *layout, struct error *err)
{
	const struct base_image *base = b->options->base;
	struct image *image = b->image;

	if (!base)
		return true;
	image->base_digest = base->digest;
	image->base_layers = base->manifest.count;
	image->base_name = memory_copy_text(base->source);
	return base_image_check(base, image->architecture, image->layer_count, err) &&
	       base_image_take(base, layout, &image->size_bytes, err);
}

static bool write_documents(struct builder *b, const struct layout *layout, struct error *err)
{
	struct image *image = b->image;
	scoped(buf_free) struct buf config = {0}, manifest = {0}, reasons = {0};
	struct layout_entry entry = {.media_type = MEDIA_TYPE_MANIFEST};
	struct digest list;

	write_config(b, &config);
	if (!layout_write_blob(layout, buf_str(&config), &image->config_digest, err))
		return false;
	write_manifest(b, (int64_t)config.size, &manifest);
	if (!layout_write_blob(layout, buf_str(&manifest), &image->digest, err))
		return false;
	image->size_bytes += (int64_t)(config.size + manifest.size);
	entry.digest = image->digest;
	image->manifest_bytes = entry.size_bytes = (int64_t)manifest.size;
	reasons_write(&image->tree, b->closure, &reasons);
	return layout_write_blob(layout, buf_str(&reasons), &list, err) &&
	       layout_set_image(layout, image->tag, &entry, image->architecture, &list, err) &&
	       debug_files_attach(&image->debug, layout, &entry, err);
}

bool image_build(const struct image_options *options, struct image *out_image, struct error *err)
{
	scoped(image_free) struct image image = {0};
	scoped(builder_free) struct builder b = {.options = options, .image = &image};
	scoped(layout_free) struct layout layout = {0};

	if (!check_options(&b, err) ||
		(options->base && !base_image_check(options->base, image.architecture, 0, err)) ||
		!leak_fence_new(options->secrets, options->allowed_secrets, &b.fence, err))
		return false;
	b.packer = packer_new(options->compression);
	packer_warm(b.packer);
	if (!collect(&b, err))
		return error_while(err, "collecting what \"%s\" needs", options->binary);
	b.check = loader_check_start(b.closure, &image.tree, image.architecture,
		options->cache_folder);
	if (!layout_create(image.layout, &layout, err) || !build_layers(&b, &layout, err) ||
		!search_rest(&b, err) || !take_base(&b, &layout, err) ||
		!loader_check_finish(b.check, &image.loader, &image.loader_note, err) ||
		!write_documents(&b, &layout, err))
		return error_while(err, "writing the image to \"%s\"", options->output);
	*out_image = image;
	image = (struct image){0};
	return true;
}
