#include "deployers/local/ecr_lifecycle.h"

#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"
#include "deployers/local/lifecycle.h"
#include "deployers/local/store.h"

#include <stdlib.h>

enum { TEXT_MIN = 100, TEXT_MAX = 30720, PAGE = 100 };

/* The images of a repository as the policy sees them. */
struct candidates {
	struct cloud *cloud;
	const char *repository;
	struct lifecycle_image *images; /* owned */
	struct strings *lists;          /* owned: two for each image, its tags and its parts */
	struct strings digests;
	size_t count, capacity;
};

static void candidates_free(struct candidates *candidates)
{
	for (size_t i = 0; i < 2 * candidates->count; i++)
		strings_free(&candidates->lists[i]);
	free(candidates->lists);
	free(candidates->images);
	strings_free(&candidates->digests);
}

static bool add_candidate(void *context, const char *digest, const struct json *image)
{
	struct candidates *c = context;
	const struct json *parts = json_get(image, "_blobs");

	if (c->count == c->capacity) {
		c->capacity = c->capacity ? 2 * c->capacity : 64;
		c->images = memory_resize(c->images, c->capacity * sizeof(*c->images));
		c->lists = memory_resize(c->lists, 2 * c->capacity * sizeof(*c->lists));
	}
	struct strings tags = {0}, contained = {0};

	content_tags(c->cloud->content, c->repository, digest, &tags);
	for (size_t i = 0; i < json_count(parts); i++)
		strings_add(&contained, json_text(json_at(parts, i), ""));
	c->lists[2 * c->count] = tags;
	c->lists[2 * c->count + 1] = contained;
	strings_add(&c->digests, digest);
	c->images[c->count++] = (struct lifecycle_image){
		.pushed_ms = (int64_t)(json_real(json_get(image, "imagePushedAt"), 0) * 1000)};
	return true;
}

/* What the policy would do with the repository now. */
static void evaluate(struct cloud *cloud, const char *repository, const struct lifecycle *lifecycle,
	struct candidates *out)
{
	*out = (struct candidates){.cloud = cloud, .repository = repository};
	content_each_image(cloud->content, repository, add_candidate, out);
	for (size_t i = 0; i < out->count; i++) {
		out->images[i].digest = out->digests.items[i];
		out->images[i].tags = &out->lists[2 * i];
		out->images[i].contains = &out->lists[2 * i + 1];
	}
	lifecycle_decide(lifecycle, out->images, out->count, clock_now(cloud->clock));
}

/* --- the operations --- */

static bool refuse_policy(struct refusal *refusal, struct error *err)
{
	refuse(refusal, 400, ECR_INVALID,
		"Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: '%s'",
		err->message);
	error_free(err);
	return false;
}

/* Reads the policy's text; NULL lifecycle is refused. */
static bool read_policy(const char *text, struct lifecycle **out_lifecycle, struct refusal *refusal)
{
	size_t size = strlen(text);
	struct error err = {0};

	if (size < TEXT_MIN || size > TEXT_MAX)
		return refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
			"'Member must have length between %d and %d'",
			TEXT_MIN, TEXT_MAX);
	return lifecycle_parse(str_of(text), out_lifecycle, &err) || refuse_policy(refusal, &err);
}

static struct json *answer_about(struct cloud *cloud, const char *repository, const char *text)
{
	return json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(repository), "lifecyclePolicyText", json_text_new(text), NULL);
}

static bool put_member(struct cloud *cloud, const char *repository, const char *member,
	struct json *value, struct refusal *refusal)
{
	struct json *changed = json_copy(content_repository(cloud->content, repository));

	if (value)
		json_set(changed, member, value);
	else
		json_remove(changed, member);
	return ecr_put_repository(cloud, repository, changed, refusal);
}

bool ecr_answer_put_lifecycle_policy(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const char *text =
		repository ? input_text(input, "lifecyclePolicyText", ECR_INVALID, refusal) : NULL;
	scoped(lifecycle_free) struct lifecycle *lifecycle = NULL;

	if (!text || !read_policy(text, &lifecycle, refusal) ||
		!put_member(cloud, repository, "_lifecycle",
			json_object_of("text", json_text_new(text), NULL), refusal))
		return false;
	*out_output = answer_about(cloud, repository, text);
	return true;
}

/* The policy of a repository; NULL: refused. */
static const struct json *policy_of(struct cloud *cloud, const char *repository,
	struct refusal *refusal)
{
	const struct json *policy =
		json_get(content_repository(cloud->content, repository), "_lifecycle");

	if (!policy)
		refuse(refusal, 400, "LifecyclePolicyNotFoundException",
			"Lifecycle policy does not exist for the repository with name '%s' in the "
			"registry with id '%s'",
			repository, cloud->account);
	return policy;
}

bool ecr_answer_get_lifecycle_policy(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *policy = repository ? policy_of(cloud, repository, refusal) : NULL;

	if (!policy)
		return false;
	*out_output = answer_about(cloud, repository, json_get_text(policy, "text", ""));
	json_set(*out_output, "lastEvaluatedAt", json_copy(json_get(policy, "evaluated")));
	return true;
}

bool ecr_answer_delete_lifecycle_policy(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	if (!ecr_answer_get_lifecycle_policy(cloud, input, out_output, refusal))
		return false;
	return put_member(cloud, json_get_text(*out_output, "repositoryName", ""), "_lifecycle",
		NULL, refusal);
}

static struct json *preview_results(const struct candidates *c)
{
	struct json *results = json_array_new();

	for (size_t i = 0; i < c->count; i++) {
		struct json *tags = json_array_new();

		if (!c->images[i].expired_by) {
			json_free(&tags);
			continue;
		}
		for (size_t t = 0; t < c->images[i].tags->count; t++)
			json_append(tags, json_text_new(c->images[i].tags->items[t]));
		json_append(results,
			json_object_of("imageTags", tags, "imageDigest",
				json_text_new(c->images[i].digest), "imagePushedAt",
				json_real_new((double)c->images[i].pushed_ms / 1000), "action",
				json_object_of("type", json_text_new("EXPIRE"), NULL),
				"appliedRulePriority", json_int_new(c->images[i].expired_by),
				NULL));
	}
	return results;
}

bool ecr_answer_start_lifecycle_policy_preview(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const char *text = json_get_text(input, "lifecyclePolicyText", NULL);
	scoped(lifecycle_free) struct lifecycle *lifecycle = NULL;
	scoped(candidates_free) struct candidates candidates = {0};

	if (!repository)
		return false;
	const struct json *policy = text ? NULL : policy_of(cloud, repository, refusal);

	if (!text && !policy)
		return false;
	scoped(text_free) char *used =
		memory_copy_text(text ? text : json_get_text(policy, "text", ""));

	if (!read_policy(used, &lifecycle, refusal))
		return false;
	evaluate(cloud, repository, lifecycle, &candidates);
	if (!put_member(cloud, repository, "_preview",
		    json_object_of("text", json_text_new(used), "results",
			    preview_results(&candidates), NULL),
		    refusal))
		return false;
	*out_output = answer_about(cloud, repository, used);
	json_set_text(*out_output, "status", "IN_PROGRESS");
	return true;
}

/* Whether the input's imageIds (none: all) and tag filter let a result through. */
static bool is_asked_for(const struct json *input, const struct json *result)
{
	const struct json *ids = json_get(input, "imageIds");
	const char *status = json_get_text(json_get(input, "filter"), "tagStatus", "ANY");
	bool tagged = json_count(json_get(result, "imageTags")) > 0, found = !json_count(ids);

	for (size_t i = 0; !found && i < json_count(ids); i++)
		found = text_equal(json_get_text(json_at(ids, i), "imageDigest", ""),
			json_get_text(result, "imageDigest", "?"));
	return found && !text_equal(status, tagged ? "UNTAGGED" : "TAGGED");
}

bool ecr_answer_get_lifecycle_policy_preview(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *preview, *results;
	size_t from;
	int64_t limit;

	if (!repository || !input_page(input, "nextToken", ECR_INVALID, &from, refusal) ||
		!input_int(input, "maxResults", 1, PAGE, PAGE, ECR_INVALID, &limit, refusal))
		return false;
	preview = json_get(content_repository(cloud->content, repository), "_preview");
	if (!preview)
		return refuse(refusal, 400, "LifecyclePolicyPreviewNotFoundException",
			"Lifecycle policy preview does not exist for '%s'", repository);
	results = json_get(preview, "results");
	struct json *shown = json_array_new();

	for (size_t i = 0; i < json_count(results); i++)
		if (is_asked_for(input, json_at(results, i)))
			json_append(shown, json_copy(json_at(results, i)));
	*out_output = answer_about(cloud, repository, json_get_text(preview, "text", ""));
	json_set_text(*out_output, "status", "COMPLETE");
	json_set(*out_output, "summary",
		json_object_of("expiringImageTotalCount",
			json_int_new((int64_t)json_count(results)), NULL));
	output_page(*out_output, "previewResults", shown, from, (size_t)limit, "nextToken");
	return true;
}

/* --- what the policies say, done --- */

/* Removes what expires. One that an index names waits until the index is gone: two rounds or more. */
static bool expire(struct cloud *cloud, const char *repository, struct candidates *c,
	struct error *err)
{
	for (bool gone = true; gone;) {
		gone = false;
		for (size_t i = 0; i < c->count; i++) {
			struct lifecycle_image *image = &c->images[i];

			if (!image->expired_by ||
				content_index_of(cloud->content, repository, image->digest))
				continue;
			log_trace("registry", "%s: %s expires by rule %lld", repository,
				image->digest, (long long)image->expired_by);
			if (!content_remove_image(cloud->content, repository, image->digest, err))
				return false;
			image->expired_by = 0;
			gone = true;
		}
	}
	return true;
}

static bool apply(struct cloud *cloud, const char *repository, struct error *err)
{
	struct json *changed = json_copy(content_repository(cloud->content, repository));
	scoped(json_free) struct json *document = changed;
	scoped(lifecycle_free) struct lifecycle *lifecycle = NULL;
	scoped(candidates_free) struct candidates candidates = {0};
	struct json *policy = json_get(changed, "_lifecycle");

	if (!lifecycle_parse(json_str(json_get(policy, "text")), &lifecycle, err))
		return false;
	evaluate(cloud, repository, lifecycle, &candidates);
	if (!expire(cloud, repository, &candidates, err))
		return false;
	json_set_real(policy, "evaluated", (double)clock_now(cloud->clock) / 1000);
	return store_put(cloud->store, "ecr.repository", repository, json_keep(document), err);
}

static bool note_policy(void *context, const char *id, const struct json *repository)
{
	if (json_get(repository, "_lifecycle"))
		strings_add(context, id);
	return true;
}

bool ecr_lifecycle_apply(struct cloud *cloud, struct error *err)
{
	scoped(strings_free) struct strings repositories = {0};

	store_each(cloud->store, "ecr.repository", note_policy, &repositories);
	for (size_t i = 0; i < repositories.count; i++)
		if (!apply(cloud, repositories.items[i], err))
			return error_while(err, "expiring images of repository \"%s\"",
				repositories.items[i]);
	return true;
}
