#include "pipeline/plan/key.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

void key_free(struct key *key)
{
	free(key->parts);
	buf_free(&key->texts);
	*key = (struct key){0};
}

/*
 * Keys are made by the thousand, so one is built in two pieces of memory: texts gets
 * "SIZE NAME\0SIZE VALUE\0…", which is both what is hashed and what the parts point into. The sizes
 * before the content keep one part from looking like the border of another.
 */
static void add_text(struct key *key, const char *text, const char *more)
{
	char digits[24];
	size_t size = strlen(text) + (more ? strlen(more) + 1 : 0), at = sizeof(digits);

	digits[--at] = ' ';
	for (size_t rest = size; at > 0 && (rest || at == sizeof(digits) - 1); rest /= 10)
		digits[--at] = (char)('0' + rest % 10);
	buf_append(&key->texts, digits + at, sizeof(digits) - at);
	buf_append_text(&key->texts, text);
	if (more) {
		buf_append_char(&key->texts, ' ');
		buf_append_text(&key->texts, more);
	}
	buf_append_char(&key->texts, '\0');
}

/* The part "role name", or "role" alone. */
static void add(struct key *key, const char *role, const char *name, const char *value)
{
	add_text(key, role, name);
	add_text(key, value, NULL);
	key->count++;
}

/* Hashes the texts; only now do they stay where they are, so the parts are found in them. */
static void finish(struct key *key)
{
	struct digest digest = digest_of_str(buf_str(&key->texts));
	const char *at = key->texts.data;

	key->parts = memory_new_array(key->count, sizeof(*key->parts));
	for (size_t i = 0; i < key->count * 2; i++) {
		const char *text = strchr(at, ' ') + 1;

		*(i % 2 ? &key->parts[i / 2].value : &key->parts[i / 2].name) = text;
		at = text + strlen(text) + 1;
	}
	digest_to_hex(&digest, key->text);
}

static bool add_path(struct key *key, const char *role, const char *path, const char *service,
	struct snapshot *snapshot, struct error *err)
{
	enum entry_kind kind = ENTRY_NONE;
	char id[GIT_ID_SIZE];

	if (!snapshot_find(snapshot, path, &kind, id, err))
		return false;
	if (kind == ENTRY_NONE) {
		error_raise(err, ERROR_INVALID,
			"the service \"%s\" names \"%s\", which commit %.12s has not", service,
			path, snapshot_commit(snapshot));
		return error_next(err, "\"dogshore check\" finds all such paths");
	}
	add(key, role, path, id);
	return true;
}

static void write_pairs(struct json_writer *w, const char *name, const struct project_pairs *pairs)
{
	json_key(w, name);
	json_object_begin(w);
	for (size_t i = 0; i < pairs->count; i++)
		json_put_text(w, pairs->items[i].name, pairs->items[i].value);
	json_object_end(w);
}

static void write_texts(struct json_writer *w, const char *name, const struct project_texts *texts)
{
	json_key(w, name);
	json_array_begin(w);
	for (size_t i = 0; i < texts->count; i++)
		json_write_text(w, texts->items[i]);
	json_array_end(w);
}

/* A part whose value is the digest of settings too long to show. */
static void add_settings(struct key *key, const char *name, const struct buf *settings)
{
	struct digest digest = digest_of_str(buf_str(settings));
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(&digest, text);
	add(key, name, NULL, text);
}

static void add_image(struct key *key, const struct project_image *image)
{
	scoped(buf_free) struct buf settings = {0};
	struct json_writer w = json_writer_start(&settings);

	json_object_begin(&w);
	json_put_text(&w, "binary", image->binary);
	json_put_text(&w, "dockerfile", image->dockerfile);
	if (image->base)
		json_put_text(&w, "base", image->base);
	write_pairs(&w, "files", &image->files);
	json_put_int(&w, "port", image->port);
	write_texts(&w, "args", &image->args);
	write_pairs(&w, "env", &image->env);
	write_pairs(&w, "labels", &image->labels);
	if (image->allow_secrets.count > 0)
		write_pairs(&w, "allow_secrets", &image->allow_secrets);
	json_put_text(&w, "user", image->user);
	json_put_text(&w, "compression", image->compression);
	if (image->packages.count > 0)
		write_texts(&w, "packages", &image->packages);
	if (image->debug)
		json_put_bool(&w, "debug", true);
	if (image->sbom)
		json_put_bool(&w, "sbom", true);
	if (image->linker_map)
		json_put_text(&w, "linker_map", image->linker_map);
	if (image->with.count > 0)
		write_texts(&w, "with", &image->with);
	if (image->hwcaps.count > 0)
		write_texts(&w, "hwcaps", &image->hwcaps);
	if (image->allow)
		json_put_text(&w, "allow", image->allow);
	json_object_end(&w);
	add_settings(key, "image", &settings);
}

static void add_environment(struct key *key, const struct project_service *service)
{
	scoped(buf_free) struct buf settings = {0};
	struct json_writer w = json_writer_start(&settings);

	if (!service->env.count && !service->timeout_ms)
		return;
	json_object_begin(&w);
	write_pairs(&w, "env", &service->env);
	json_put_int(&w, "timeout_ms", service->timeout_ms);
	json_object_end(&w);
	add_settings(key, "environment", &settings);
}

/* All of it: what a build may use decides whether it succeeds. */
static void add_build(struct key *key, const struct project_build *build)
{
	scoped(buf_free) struct buf settings = {0};
	struct json_writer w = json_writer_start(&settings);

	if (!build->given)
		return;
	json_object_begin(&w);
	json_put_bool(&w, "network", !build->no_network);
	if (build->batch)
		json_put_bool(&w, "batch", true);
	json_put_int(&w, "memory", build->memory_bytes);
	json_put_int(&w, "cpus", build->cpus);
	json_put_int(&w, "processes", build->processes);
	json_put_int(&w, "disk", build->disk_bytes);
	json_put_int(&w, "log", build->log_bytes);
	if (build->executor)
		json_put_text(&w, "executor", build->executor);
	json_object_end(&w);
	add_settings(key, "build", &settings);
}

static bool make_key(const struct project_service *service, struct snapshot *snapshot,
	const char *toolchain, bool image, struct key *out_key, struct error *err)
{
	scoped(key_free) struct key key = {0};

	if (!add_path(&key, "path", service->path, service->name, snapshot, err))
		return false;
	for (size_t i = 0; i < service->uses.count; i++)
		if (!add_path(&key, "uses", service->uses.items[i], service->name, snapshot, err))
			return false;
	add(&key, "buildspec", NULL, service->buildspec);
	if (image && service->image.given)
		add_image(&key, &service->image);
	add_environment(&key, service);
	add_build(&key, &service->build);
	add(&key, "toolchain", NULL, toolchain);
	finish(&key);
	*out_key = key;
	key = (struct key){0};
	return true;
}

bool key_of_service(const struct project_service *service, struct snapshot *snapshot,
	const char *toolchain, struct key *out_key, struct error *err)
{
	return make_key(service, snapshot, toolchain, true, out_key, err);
}

bool key_of_build(const struct project_service *service, struct snapshot *snapshot,
	const char *toolchain, struct key *out_key, struct error *err)
{
	return make_key(service, snapshot, toolchain, false, out_key, err);
}

static void write_route(struct json_writer *w, const struct project_route *route)
{
	json_key(w, "route");
	json_object_begin(w);
	json_put_text(w, "path", route->path);
	json_put_text(w, "host", route->host);
	json_put_text(w, "health", route->health);
	json_put_int(w, "port", route->port);
	json_object_end(w);
}

/* Of an environment only what shapes the service; who may promote when does not. */
static void write_environment(struct json_writer *w, const struct project_environment *environment)
{
	json_put_text(w, "target", environment->target);
	json_put_text(w, "region", environment->region);
	json_put_text(w, "cluster", environment->cluster);
	json_put_text(w, "strategy", environment->strategy.type);
	json_put_int(w, "bake_ms", environment->strategy.bake_ms);
	json_put_int(w, "percent", environment->strategy.percent);
	json_put_int(w, "step_ms", environment->strategy.step_ms);
	write_texts(w, "alarms", &environment->alarms);
}

bool key_of_deployment(const struct project_service *service,
	const struct project_environment *environment, struct snapshot *snapshot, const char *image,
	const char *place, struct key *out_key, struct error *err)
{
	scoped(key_free) struct key key = {0};
	scoped(buf_free) struct buf settings = {0};
	scoped(text_free) char *task = project_service_file(service, service->deploy.task);
	scoped(text_free) char *file = project_service_file(service, service->deploy.service);
	struct json_writer w = json_writer_start(&settings);

	if (!add_path(&key, "task", task, service->name, snapshot, err) ||
		!add_path(&key, "service", file, service->name, snapshot, err))
		return false;
	add(&key, "image", NULL, image);
	json_object_begin(&w);
	write_route(&w, &service->deploy.route);
	write_environment(&w, environment);
	json_object_end(&w);
	add_settings(&key, "settings", &settings);
	add(&key, "place", NULL, place);
	finish(&key);
	*out_key = key;
	key = (struct key){0};
	return true;
}

static void append_system(struct buf *out)
{
	scoped(buf_free) struct buf text = {0};
	struct str rest;

	if (!file_read("/etc/os-release", 64 * 1024, &text, NULL))
		return;
	rest = buf_str(&text);
	while (rest.data) {
		struct str line = str_cut(&rest, '\n');

		if (str_starts_with(line, "ID=") || str_starts_with(line, "VERSION_ID="))
			buf_printf(out, "%.*s ", str_args(line));
	}
}

char *key_toolchain(void)
{
	scoped(buf_free) struct buf text = {0};
	struct utsname machine;
	struct stat packages;

	append_system(&text);
	if (uname(&machine) == 0)
		buf_append_text(&text, machine.machine);
	if (stat("/var/lib/dpkg/status", &packages) == 0)
		buf_printf(&text, " packages %lld@%lld.%09ld", (long long)packages.st_size,
			(long long)packages.st_mtim.tv_sec, packages.st_mtim.tv_nsec);
	return buf_take(&text);
}

const char *key_part_uses(const struct key_part *part)
{
	static const char role[] = "uses ";

	return text_starts_with(part->name, role) ? part->name + strlen(role) : NULL;
}

void key_rest(const struct key *key, char out[DIGEST_HEX_SIZE])
{
	scoped(key_free) struct key rest = {0};

	for (size_t i = 0; i < key->count; i++)
		add(&rest, key->parts[i].name, NULL,
			key_part_uses(&key->parts[i]) ? "" : key->parts[i].value);
	finish(&rest);
	memcpy(out, rest.text, DIGEST_HEX_SIZE);
}

struct json *key_to_json(const struct key *key)
{
	struct json *parts = json_array_new();

	for (size_t i = 0; i < key->count; i++)
		json_append(parts, json_object_of("name", json_text_new(key->parts[i].name),
					   "value", json_text_new(key->parts[i].value), NULL));
	return parts;
}

bool key_of_json(const struct json *parts, struct key *out_key, struct error *err)
{
	scoped(key_free) struct key key = {0};

	if (!json_is_array(parts))
		return error_raise(err, ERROR_INVALID, "the parts of a key must be a list");
	for (size_t i = 0; i < json_count(parts); i++) {
		const char *name = json_get_text(json_at(parts, i), "name", NULL);
		const char *value = json_get_text(json_at(parts, i), "value", NULL);

		if (!name || !value)
			return error_raise(err, ERROR_INVALID,
				"part %zu of a key has no name or value", i + 1);
		add(&key, name, NULL, value);
	}
	finish(&key);
	*out_key = key;
	key = (struct key){0};
	return true;
}

static const struct key_part *part_named(const struct key *key, const char *name)
{
	for (size_t i = 0; i < key->count; i++)
		if (strcmp(key->parts[i].name, name) == 0)
			return &key->parts[i];
	return NULL;
}

size_t key_compare(const struct key *before, const struct key *after, struct key_move *out,
	size_t limit)
{
	size_t count = 0;

	for (size_t i = 0; i < after->count; i++) {
		const struct key_part *now = &after->parts[i];
		const struct key_part *then = part_named(before, now->name);

		if (then && strcmp(then->value, now->value) == 0)
			continue;
		if (count < limit)
			out[count] =
				(struct key_move){now->name, then ? then->value : NULL, now->value};
		count++;
	}
	for (size_t i = 0; i < before->count; i++) {
		if (part_named(after, before->parts[i].name))
			continue;
		if (count < limit)
			out[count] = (struct key_move){before->parts[i].name,
				before->parts[i].value, NULL};
		count++;
	}
	return count;
}
