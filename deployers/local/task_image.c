#include "deployers/local/task_image.h"

#include "base/memory.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/utsname.h>

void task_image_free(struct task_image *image)
{
	strings_free(&image->entrypoint);
	strings_free(&image->command);
	strings_free(&image->env);
	free(image->user);
	free(image->folder);
	free(image->layers);
	*image = (struct task_image){0};
}

static void copy_texts(const struct json *array, struct strings *out)
{
	for (size_t i = 0; i < json_count(array); i++)
		strings_add(out, json_text(json_at(array, i), ""));
}

static const char *machine_architecture(void)
{
	static struct utsname machine;

	uname(&machine);
	if (text_equal(machine.machine, "x86_64"))
		return "amd64";
	return text_equal(machine.machine, "aarch64") ? "arm64" : machine.machine;
}

/* "SIGTERM", "TERM" or "15" */
static int signal_number(const char *name)
{
	int64_t number;

	if (str_to_int(str_of(name), &number))
		return number > 0 && number < 65 ? (int)number : SIGTERM;
	if (text_starts_with(name, "SIG"))
		name += 3;
	for (int i = 1; i < 32; i++)
		if (text_equal(sigabbrev_np(i), name))
			return i;
	return SIGTERM;
}

static bool parse_layers(const struct json *manifest, const struct json *config,
	struct task_image *image, struct error *err)
{
	const struct json *layers = json_get(manifest, "layers");
	const struct json *diff_ids = json_get(json_get(config, "rootfs"), "diff_ids");
	size_t count = json_count(layers);

	if (!json_is_array(layers) || count != json_count(diff_ids))
		return error_raise(err, ERROR_INVALID,
			"the manifest has %zu layers, the config's rootfs.diff_ids %zu", count,
			json_count(diff_ids));
	if (count > TASK_IMAGE_LAYER_LIMIT)
		return error_raise(err, ERROR_LIMIT,
			"the image has %zu layers, at most %d can be mounted", count,
			TASK_IMAGE_LAYER_LIMIT);
	image->layers = memory_new_array(count, sizeof(*image->layers));
	for (size_t i = 0; i < count; i++) {
		struct task_image_layer *layer = &image->layers[i];

		if (!digest_parse(json_str(json_get(json_at(layers, i), "digest")), &layer->blob) ||
			!digest_parse(json_str(json_at(diff_ids, i)), &layer->diff_id))
			return error_raise(err, ERROR_INVALID,
				"layer %zu has no digest of the form sha256:<64 hex digits>", i);
	}
	image->layer_count = count;
	return true;
}

bool task_image_parse(const struct json *manifest, const struct json *config,
	struct task_image *out_image, struct error *err)
{
	scoped(task_image_free) struct task_image image = {0};
	const struct json *run = json_get(config, "config");
	const char *architecture = json_get_text(config, "architecture", "");
	const char *folder = json_get_text(run, "WorkingDir", "");

	if (!text_equal(architecture, machine_architecture()))
		return error_raise(err, ERROR_INVALID, "the image is for %s, this machine is %s",
			*architecture ? architecture : "no named architecture",
			machine_architecture());
	if (!parse_layers(manifest, config, &image, err))
		return false;
	copy_texts(json_get(run, "Entrypoint"), &image.entrypoint);
	copy_texts(json_get(run, "Cmd"), &image.command);
	copy_texts(json_get(run, "Env"), &image.env);
	image.user = memory_copy_text(json_get_text(run, "User", ""));
	image.folder = memory_copy_text(*folder ? folder : "/");
	image.stop_signal = signal_number(json_get_text(run, "StopSignal", "SIGTERM"));
	*out_image = image;
	image = (struct task_image){0};
	return true;
}

bool task_image_open(struct content *content, const char *reference, struct task_image *out_image,
	struct error *err)
{
	scoped(json_free) struct json *manifest = NULL, *config = NULL;
	scoped(text_free) char *path = NULL;
	struct digest digest, config_digest;

	if (!content_resolve(content, reference, &digest, &manifest, err))
		return error_while(err, "pulling %s", reference);
	if (!digest_parse(json_str(json_get(json_get(manifest, "config"), "digest")),
		    &config_digest))
		return error_raise(err, ERROR_INVALID, "the manifest of %s names no config",
			reference);
	if (!content_blob_path(content, &config_digest, &path, err) ||
		!json_read_file(path, 0, &config, err) ||
		!task_image_parse(manifest, config, out_image, err))
		return error_while(err, "reading the config of %s", reference);
	out_image->digest = digest;
	return true;
}
