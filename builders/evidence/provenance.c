#include "builders/evidence/provenance.h"

#include "base/memory.h"

#include <stdlib.h>

enum { FACTS_LIMIT = 1 << 20 };

void provenance_facts_free(struct provenance_facts *facts)
{
	char **all[] = {&facts->repository, &facts->commit, &facts->service, &facts->buildspec_path,
		&facts->buildspec_sha256, &facts->key, &facts->toolchain, &facts->invocation,
		&facts->started_at, &facts->finished_at, &facts->builder};

	for (size_t i = 0; i < countof(all); i++)
		text_free(all[i]);
}

void provenance_items_add(struct provenance_items *list, const char *name, const char *uri,
	const char *media_type, const struct digest *digest)
{
	list->items = memory_resize(list->items, (list->count + 1) * sizeof(list->items[0]));
	list->items[list->count++] = (struct provenance_item){.name = memory_copy_text(name),
		.uri = memory_copy_text(uri),
		.media_type = memory_copy_text(media_type),
		.has_digest = digest != NULL,
		.digest = digest ? *digest : (struct digest){{0}}};
}

void provenance_items_free(struct provenance_items *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].uri);
		free(list->items[i].media_type);
	}
	free(list->items);
	*list = (struct provenance_items){0};
}

struct fact {
	const char *name;
	char **to;
	size_t hex_digits; /* 0: any text */
};

static bool is_hex(const char *text, size_t digits)
{
	return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

static bool take_fact(const struct json_member *member, const struct fact *facts, size_t count,
	const char *what, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *text = json_text(member->value, NULL);

		if (!text_equal(member->key, facts[i].name))
			continue;
		if (!text || !*text)
			return error_raise(err, ERROR_INVALID, "%s: \"%s\" is no text", what,
				member->key);
		if (facts[i].hex_digits && !is_hex(text, facts[i].hex_digits))
			return error_raise(err, ERROR_INVALID,
				"%s: \"%s\" is \"%.80s\", expected %zu hex digits", what,
				member->key, text, facts[i].hex_digits);
		*facts[i].to = memory_copy_text(text);
		return true;
	}
	error_raise(err, ERROR_INVALID, "%s: there is no fact \"%.80s\"", what, member->key);
	return error_next(err, "repository, commit, service, buildspec (path, sha256), key, "
			       "toolchain, invocation, started_at, finished_at, builder");
}

static bool take_facts(const struct json *object, const struct fact *facts, size_t count,
	const char *what, struct error *err)
{
	for (json_each(member, object))
		if (!text_equal(member.key, "buildspec") || !json_is_object(member.value))
			if (!take_fact(&member, facts, count, what, err))
				return false;
	return true;
}

bool provenance_facts_parse(struct str text, const char *what, struct provenance_facts *out_facts,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(provenance_facts_free) struct provenance_facts facts = {0};
	const struct fact outer[] = {{"repository", &facts.repository, 0},
		{"commit", &facts.commit, 40}, {"service", &facts.service, 0},
		{"key", &facts.key, 64}, {"toolchain", &facts.toolchain, 0},
		{"invocation", &facts.invocation, 0}, {"started_at", &facts.started_at, 0},
		{"finished_at", &facts.finished_at, 0}, {"builder", &facts.builder, 0}};
	const struct fact inner[] = {{"path", &facts.buildspec_path, 0},
		{"sha256", &facts.buildspec_sha256, 64}};

	if (!json_parse(text, what, &(struct json_limits){.size_bytes = FACTS_LIMIT}, &value, err))
		return false;
	if (!json_is_object(value))
		return error_raise(err, ERROR_INVALID, "%s is no JSON object", what);
	if (!take_facts(value, outer, countof(outer), what, err) ||
		!take_facts(json_get(value, "buildspec"), inner, countof(inner), what, err))
		return false;
	*out_facts = facts;
	facts = (struct provenance_facts){0};
	return true;
}

static struct json *digest_set(const char *algorithm, const char *hex)
{
	return hex ? json_object_of(algorithm, json_text_new(hex), NULL) : NULL;
}

static struct json *text_or_nothing(const char *text)
{
	return text && *text ? json_text_new(text) : NULL;
}

static struct json *descriptor(const struct provenance_item *item)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&item->digest, hex);
	return json_object_of("name", text_or_nothing(item->name), "uri",
		text_or_nothing(item->uri), "digest",
		item->has_digest ? digest_set("sha256", hex) : NULL, "mediaType",
		text_or_nothing(item->media_type), NULL);
}

static struct json *external(const struct provenance_facts *facts)
{
	struct json *buildspec = NULL;

	if (facts->buildspec_path || facts->buildspec_sha256)
		buildspec = json_object_of("path", text_or_nothing(facts->buildspec_path), "digest",
			digest_set("sha256", facts->buildspec_sha256), NULL);
	return json_object_of("repository", text_or_nothing(facts->repository), "commit",
		text_or_nothing(facts->commit), "service", text_or_nothing(facts->service),
		"buildspec", buildspec, "stepKey", text_or_nothing(facts->key), NULL);
}

static struct json *number_or_nothing(struct str text)
{
	int64_t value;

	return text.data && str_to_int(str_trim(text), &value) ? json_int_new(value) : NULL;
}

/* "zstd 1.5.4 level 1, what else decides" in its parts. */
static struct json *compressor_of(const char *text)
{
	struct str rest = str_of(text), first = str_cut(&rest, ','), name = str_cut(&first, ' ');
	struct str version = str_cut(&first, ' ');

	if (!text)
		return NULL;
	(void)str_cut(&first, ' ');
	rest = str_trim(rest);
	return json_object_of("name", json_str_new(name), "version",
		version.size ? json_str_new(version) : NULL, "level", number_or_nothing(first),
		"parameters", rest.size ? json_str_new(rest) : NULL, NULL);
}

static struct json *dependencies(const struct provenance_facts *facts,
	const struct provenance_items *packages)
{
	struct json *list = json_array_new();

	if (facts->repository || facts->commit) {
		scoped(text_free) char *uri =
			memory_format("git+%s%s%s", facts->repository ? facts->repository : "",
				facts->commit ? "@" : "", facts->commit ? facts->commit : "");
		json_append(list, json_object_of("name", json_text_new("source"), "uri",
					  facts->repository ? json_text_new(uri) : NULL, "digest",
					  digest_set("gitCommit", facts->commit), NULL));
	}
	if (facts->toolchain)
		json_append(list,
			json_object_of("name", json_text_new("toolchain"), "annotations",
				json_object_of("identity", json_text_new(facts->toolchain), NULL),
				NULL));
	for (size_t i = 0; packages && i < packages->count; i++)
		json_append(list, descriptor(&packages->items[i]));
	return list;
}

static struct json *run_details(const struct provenance_facts *facts,
	const struct provenance_items *byproducts)
{
	const char *builder = facts->builder ? facts->builder : getenv("DOGSHORE_BUILDER_ID");
	struct json *list = NULL, *metadata = NULL;

	for (size_t i = 0; byproducts && i < byproducts->count; i++) {
		list = list ? list : json_array_new();
		json_append(list, descriptor(&byproducts->items[i]));
	}
	if (facts->invocation || facts->started_at || facts->finished_at)
		metadata = json_object_of("invocationId", text_or_nothing(facts->invocation),
			"startedOn", text_or_nothing(facts->started_at), "finishedOn",
			text_or_nothing(facts->finished_at), NULL);
	return json_object_of("builder",
		json_object_of("id",
			json_text_new(builder && *builder ? builder : PROVENANCE_BUILDER),
			"version",
			json_object_of("dogshore", json_text_new(DOGSHORE_VERSION), NULL), NULL),
		"metadata", metadata, "byproducts", list, NULL);
}

void provenance_write(const struct provenance_facts *facts, const char *compressor,
	const struct provenance_items *packages, const struct provenance_items *byproducts,
	struct statement *out_statement)
{
	struct json *definition = json_object_of("buildType", json_text_new(PROVENANCE_BUILD_TYPE),
		"externalParameters", external(facts), "internalParameters",
		json_object_of("compressor", compressor_of(compressor), NULL),
		"resolvedDependencies", dependencies(facts, packages), NULL);

	out_statement->predicate_type = memory_copy_text(PREDICATE_SLSA_PROVENANCE);
	out_statement->predicate = json_object_of("buildDefinition", definition, "runDetails",
		run_details(facts, byproducts), NULL);
}

void provenance_read(const struct json *predicate, struct provenance *out_provenance)
{
	const struct json *definition = json_get(predicate, "buildDefinition");
	const struct json *given = json_get(definition, "externalParameters");
	const struct json *buildspec = json_get(given, "buildspec");
	const struct json *found = json_get(definition, "resolvedDependencies");
	struct provenance read = {
		.build_type = json_get_text(definition, "buildType", NULL),
		.builder = json_get_text(json_get(json_get(predicate, "runDetails"), "builder"),
			"id", NULL),
		.repository = json_get_text(given, "repository", NULL),
		.commit = json_get_text(given, "commit", NULL),
		.service = json_get_text(given, "service", NULL),
		.key = json_get_text(given, "stepKey", NULL),
		.buildspec_path = json_get_text(buildspec, "path", NULL),
		.buildspec_sha256 = json_get_text(json_get(buildspec, "digest"), "sha256", NULL),
	};

	for (size_t i = 0; json_is_array(found) && i < json_count(found); i++)
		if (text_equal(json_get_text(json_at(found, i), "name", ""), "toolchain"))
			read.toolchain = json_get_text(json_get(json_at(found, i), "annotations"),
				"identity", NULL);
	*out_provenance = read;
}
