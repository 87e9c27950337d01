#include "base/memory.h"
#include "base/path.h"
#include "base/terminal.h"
#include "builders/evidence/build_evidence.h"
#include "builders/evidence/sbom.h"
#include "builders/image/dockerfile.h"
#include "builders/image/elf.h"
#include "builders/registry/base_fetch.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/run_secrets.h"

#include <stdlib.h>

static struct {
	const char *binary, *user, *compression, *platform, *output, *allow;
	const char *base, *dockerfile, *context, *target, *secrets_file, *secrets_of, *linker_map;
	const char *provenance, *key;
	struct strings packages, files, args, env, labels, with, hwcaps, allowed, build_args;
	int64_t port;
	bool explain, no_cache, fetch_base, plain_http, sbom, squash, debug;
} given = {.port = INT64_MIN};

static const struct option_row rows[] = {
	{"binary", OPTION_TEXT, &given.binary, "FILE", "the program, an ELF file", NULL},
	{"file", OPTION_LIST, &given.files, "SRC:DST", "also put SRC at the absolute path DST",
		NULL},
	{"package", OPTION_LIST, &given.packages, "NAME[=VERSION]",
		"also put a Debian package into it, unpacked without its scripts", NULL},
	{"base", OPTION_TEXT, &given.base, "IMAGE",
		"stand on HOST/REPOSITORY:TAG, or on LAYOUT:TAG of this machine", NULL},
	{"fetch-base", OPTION_SWITCH, &given.fetch_base, NULL,
		"also bring the base's layers into the layout", NULL},
	{"plain-http", OPTION_SWITCH, &given.plain_http, NULL,
		"HTTP without TLS to the base's registry (loopback hosts: always)", NULL},
	{"dockerfile", OPTION_TEXT, &given.dockerfile, "FILE",
		"build a Dockerfile with buildah instead", NULL},
	{"context", OPTION_TEXT, &given.context, "DIR",
		"what COPY takes from (default: the Dockerfile's folder)", NULL},
	{"build-arg", OPTION_LIST, &given.build_args, "NAME=VALUE", "for ARG in the Dockerfile",
		NULL},
	{"target", OPTION_TEXT, &given.target, "STAGE", "stage of the Dockerfile (default: last)",
		NULL},
	{"squash", OPTION_SWITCH, &given.squash, NULL, "one layer of all that a Dockerfile makes",
		NULL},
	{"arg", OPTION_LIST, &given.args, "ARG", "argument the program gets by default", NULL},
	{"env", OPTION_LIST, &given.env, "NAME=VALUE", "environment variable", NULL},
	{"user", OPTION_TEXT, &given.user, "UID[:GID]", "run as (default 65532, nonroot)", NULL},
	{"port", OPTION_INT, &given.port, "PORT", "TCP port the program listens on", NULL},
	{"label", OPTION_LIST, &given.labels, "KEY=VALUE", "label", NULL},
	{"with", OPTION_LIST, &given.with, "WHAT",
		"also what programs open at run time: gconv, gconv-all, locale, openssl-modules, "
		"suggested, tzdata",
		NULL},
	{"hwcaps", OPTION_LIST, &given.hwcaps, "LEVEL",
		"also libraries for newer processors (x86-64-v3)", NULL},
	{"allow", OPTION_CHOICE, &given.allow, "WHAT", "build what is refused otherwise",
		"static-glibc"},
	{"platform", OPTION_TEXT, &given.platform, "linux/ARCH", "default: this machine's", NULL},
	{"compression", OPTION_CHOICE, &given.compression, "HOW", "of layers (default zstd)",
		"zstd|gzip|none"},
	{"output", OPTION_TEXT, &given.output, "LAYOUT[:TAG]", "OCI layout to write (tag latest)",
		NULL},
	{"secrets-file", OPTION_TEXT, &given.secrets_file, "FILE",
		"secrets of the build, which must not be in the image", NULL},
	{"secrets-of", OPTION_TEXT, &given.secrets_of, "FILE",
		"the build's result.json: what it asked AWS for must not be in the image", NULL},
	{"allow-secret", OPTION_LIST, &given.allowed, "PATH=REASON",
		"a secret that must be in the image, and why", NULL},
	{"sbom", OPTION_SWITCH, &given.sbom, NULL, "add a bill of materials, SPDX and CycloneDX",
		NULL},
	{"linker-map", OPTION_TEXT, &given.linker_map, "FILE",
		"the linker's map (-Wl,-Map=FILE): names static libraries for --sbom", NULL},
	{"debug", OPTION_SWITCH, &given.debug, NULL,
		"keep the debug information beside the image instead of in it", NULL},
	{"provenance", OPTION_TEXT, &given.provenance, "FILE",
		"facts of the build (JSON): attach SLSA provenance", NULL},
	{"key", OPTION_TEXT, &given.key, "KEY",
		"sign: FILE, env:NAME or kms:KEY (default $DOGSHORE_SIGNING_KEY)", NULL},
	{"explain", OPTION_SWITCH, &given.explain, NULL, "list every file and why it is there",
		NULL},
	{"no-cache", OPTION_SWITCH, &given.no_cache, NULL, "make every layer anew", NULL},
};

static const struct option_set options = {
	.usage = "image build --binary FILE|--dockerfile FILE [--file SRC:DST]... --output "
		 "LAYOUT[:TAG]",
	.about = "make an image of a program and what it needs",
	.rows = rows,
	.count = countof(rows),
};

static void print_packages(const struct strings *packages)
{
	printf("                of");
	for (size_t i = 0; i < packages->count; i++)
		printf(" %s", packages->items[i]);
	printf("\n");
}

static void print_layer(const struct layer *layer)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&layer->packed.digest, digest);
	printf("  %-13s %9lld bytes  %4zu entries  %.19s%s\n", layer_kind_name(layer->kind),
		(long long)layer->packed.size_bytes, layer->entry_count, digest,
		layer->reused ? "  unchanged" : "");
	if (layer->kind == LAYER_LIBRARIES && layer->packages.count > 0)
		print_packages(&layer->packages);
}

static void print_image(const struct image *image)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&image->digest, digest);
	printf("%s:%s linux/%s %lld bytes\n%s\n", image->layout, image->tag, image->architecture,
		(long long)image->size_bytes, digest);
	for (size_t i = 0; i < image->layer_count; i++)
		print_layer(&image->layers[i]);
	for (size_t i = 0; given.explain && i < image->tree.count; i++) {
		const struct tree_entry *entry = &image->tree.entries[i];
		scoped(text_free) char *line =
			memory_format("/%s%s%s: %s", entry->path, entry->target ? " -> " : "",
				entry->target ? entry->target : "", entry->why);
		terminal_print(stdout, str_of(line));
		fputc('\n', stdout);
	}
}

/* A flag that means nothing beside the other is a mistake, not to be passed over. */
static bool check_kind(struct error *err)
{
	const struct {
		const char *name;
		bool used, of_dockerfile;
	} flags[] = {
		{"binary", given.binary, false},
		{"base", given.base, false},
		{"file", given.files.count, false},
		{"package", given.packages.count, false},
		{"with", given.with.count, false},
		{"hwcaps", given.hwcaps.count, false},
		{"allow", given.allow, false},
		{"explain", given.explain, false},
		{"sbom", given.sbom, false},
		{"debug", given.debug, false},
		{"linker-map", given.linker_map, false},
		{"context", given.context, true},
		{"target", given.target, true},
		{"build-arg", given.build_args.count, true},
		{"squash", given.squash, true},
	};

	for (size_t i = 0; i < countof(flags); i++)
		if (flags[i].used && flags[i].of_dockerfile != (given.dockerfile != NULL))
			return error_raise(err, ERROR_USAGE,
				"--%s makes no sense with%s --dockerfile", flags[i].name,
				given.dockerfile ? "" : "out");
	return true;
}

static bool check_given(const struct command_context *context, struct image_options *build,
	struct error *err)
{
	(void)context;
	if (!check_kind(err))
		return false;
	if ((!given.binary && !given.dockerfile) || !given.output) {
		error_raise(err, ERROR_USAGE, "--%s is missing",
			given.output ? "binary" : "output");
		return error_next(err,
			"dogshore image build --binary build/rooms --output out/rooms:1");
	}
	*build = (struct image_options){.binary = given.binary,
		.files = &given.files,
		.packages = &given.packages,
		.args = &given.args,
		.env = &given.env,
		.labels = &given.labels,
		.allowed_secrets = &given.allowed,
		.with = &given.with,
		.hwcaps = &given.hwcaps,
		.allow_static_glibc = given.allow != NULL,
		.user = given.user,
		.port = given.port == INT64_MIN ? 0 : given.port,
		.platform = given.platform,
		.output = given.output};
	if (given.fetch_base && !given.base)
		return error_raise(err, ERROR_USAGE, "--fetch-base makes no sense without --base");
	if (given.port == 0)
		return error_raise(err, ERROR_USAGE, "the port 0 is not between 1 and 65535");
	if (given.linker_map && !given.sbom) {
		error_raise(err, ERROR_USAGE, "--linker-map is of use with --sbom only");
		return error_next(err, "add --sbom");
	}
	return !given.compression || compression_of_name(given.compression, &build->compression) ||
	       error_raise(err, ERROR_USAGE, "unknown compression \"%s\"", given.compression);
}

static bool add_sbom(struct image *image, const struct image_options *build, struct error *err)
{
	struct sbom_options sbom = {.linker_map = given.linker_map,
		.cache_folder = build->cache_folder};
	struct sbom_documents documents;

	if (!sbom_add(image, &sbom, &documents, err))
		return false;
	image->sbom = documents.spdx;
	return true;
}

/* The base's own platform is checked by the builder, with words about both. */
static const char *wanted_architecture(const struct image_options *build)
{
	if (build->platform && text_starts_with(build->platform, "linux/"))
		return build->platform + strlen("linux/");
	return elf_native_architecture();
}

static bool build_on_base(const struct command_context *context, struct image_options *build,
	struct image *out_image, struct error *err)
{
	scoped(base_image_free) struct base_image base = {0};
	scoped(text_free) char *kept = path_join(context->state, "registry");
	const struct push_options fetch = {.plain_http = given.plain_http, .kept_folder = kept};

	if (!base_fetch(given.base, wanted_architecture(build), &fetch, &base, err))
		return false;
	build->base = &base;
	bool ok = image_build(build, out_image, err) &&
		  (!given.fetch_base || base_fetch_layers(&base, out_image->layout, &fetch, err));
	build->base = NULL;
	return ok;
}

static bool build_image(const struct command_context *context, struct image_options *build,
	struct image *out_image, struct error *err)
{
	if (given.base)
		return build_on_base(context, build, out_image, err);
	if (!given.dockerfile)
		return image_build(build, out_image, err);
	return dockerfile_build(&(struct dockerfile_options){.file = given.dockerfile,
					.context = given.context,
					.build_args = &given.build_args,
					.target = given.target,
					.squash = given.squash,
					.no_cache = given.no_cache,
					.image = *build},
		out_image, err);
}

/* After the SBOM, which signature and provenance then cover. */
static bool add_evidence(const struct image *image, const struct image_options *build,
	struct error *err)
{
	const struct build_evidence wanted = {.facts = given.provenance,
		.key = given.key ? given.key : getenv("DOGSHORE_SIGNING_KEY"),
		.compression = build->compression};

	return build_evidence_add(image, &wanted, err);
}

/* Names of files and what notes in them say are others'. */
static void print_warning(const char *text)
{
	fputs("warning: ", stderr);
	terminal_print(stderr, str_of(text));
	fputc('\n', stderr);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(image_free) struct image image = {0};
	scoped(text_free) char *cache = path_join(context->state, "layers");
	scoped(text_free) char *packages = path_join(context->state, "packages");
	scoped(text_free) char *debug = path_join(context->state, "debug");
	scoped(strings_free) struct strings secrets = {0};
	struct image_options build;

	cancel_at_once(context->json);
	if (!check_given(context, &build, err) ||
		!run_secrets_collect(given.secrets_file, given.secrets_of, &secrets, err))
		return false;
	build.secrets = &secrets;
	build.package_folder = packages;
	build.debug_folder = given.debug ? debug : NULL;
	build.cache_folder = given.no_cache ? NULL : cache;
	if (!build_image(context, &build, &image, err) ||
		(given.sbom && !add_sbom(&image, &build, err)) ||
		!add_evidence(&image, &build, err))
		return false;
	for (size_t i = 0; i < image.warnings.count; i++)
		print_warning(image.warnings.items[i]);
	if (image.loader_note)
		fprintf(stderr, "note: the image's own loader did not list its libraries: %s\n",
			image.loader_note);
	if (context->json)
		image_write_json(&image, given.explain, &context->result);
	else
		print_image(&image);
	return true;
}

const struct command image_build_command = {"image build", &options, run, false};
