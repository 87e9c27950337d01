#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"

#include "base/memory.h"

enum { FILTERS_MAX = 5, FILTER_MAX = 128, REFERRERS_PAGE = 50 };

/* [0-9a-zA-Z._*-]{1,128} */
static bool filter_valid(const struct json *filter)
{
	struct str text = json_str(json_get(filter, "filter"));
	bool ok = text.size >= 1 && text.size <= FILTER_MAX &&
		  text_equal(json_get_text(filter, "filterType", ""), "WILDCARD");

	for (size_t i = 0; ok && i < text.size; i++) {
		char c = text.data[i];

		ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		     c == '.' || c == '_' || c == '*' || c == '-';
	}
	return ok;
}

bool ecr_set_mutability(const struct json *input, const char *fallback, struct json *repository,
	struct refusal *refusal)
{
	static const char *const known[] = {"MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION",
		"IMMUTABLE_WITH_EXCLUSION"};
	const char *mutability = json_get_text(input, "imageTagMutability", fallback);
	const struct json *filters = json_get(input, "imageTagMutabilityExclusionFilters");
	size_t which = 0, count = json_count(filters);

	while (which < countof(known) && !text_equal(mutability, known[which]))
		which++;
	if (which == countof(known))
		return refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'imageTagMutability' failed to satisfy constraint: "
			"'Member must satisfy enum value set: [MUTABLE, IMMUTABLE, "
			"MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]'");
	if (count > FILTERS_MAX || (which >= 2) != (count > 0))
		return refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'imageTagMutabilityExclusionFilters': 1 to %d with "
			"..._WITH_EXCLUSION, none otherwise",
			FILTERS_MAX);
	for (size_t i = 0; i < count; i++)
		if (!filter_valid(json_at(filters, i)))
			return refuse(refusal, 400, ECR_INVALID,
				"Invalid parameter at 'imageTagMutabilityExclusionFilters'");
	json_set_text(repository, "imageTagMutability", mutability);
	json_remove(repository, "imageTagMutabilityExclusionFilters");
	if (count)
		json_set(repository, "imageTagMutabilityExclusionFilters", json_copy(filters));
	return true;
}

/* {"registryId", "repositoryName"}; the caller's */
static struct json *answer_about(struct cloud *cloud, const char *repository)
{
	return json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(repository), NULL);
}

bool ecr_answer_put_image_tag_mutability(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	static const char *const members[] = {"imageTagMutability",
		"imageTagMutabilityExclusionFilters"};
	const char *name = ecr_repository_of(cloud, input, refusal);
	scoped(json_free) struct json *changed = NULL;

	if (!name)
		return false;
	changed = json_copy(content_repository(cloud->content, name));
	if (!ecr_set_mutability(input, "", changed, refusal) ||
		!ecr_put_repository(cloud, name, json_keep(changed), refusal))
		return false;
	*out_output = answer_about(cloud, name);
	for (size_t i = 0; i < countof(members); i++)
		json_set(*out_output, members[i], json_copy(json_get(changed, members[i])));
	return true;
}

bool ecr_answer_put_image_scanning_configuration(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *name = ecr_repository_of(cloud, input, refusal);
	const struct json *given = json_get(input, "imageScanningConfiguration");
	scoped(json_free) struct json *changed = NULL, *scanning = NULL;

	if (!name)
		return false;
	if (!json_is_object(given))
		return refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'imageScanningConfiguration'");
	scanning = json_object_of("scanOnPush",
		json_bool_new(json_get_bool(given, "scanOnPush", false)), NULL);
	changed = json_copy(content_repository(cloud->content, name));
	json_set(changed, "imageScanningConfiguration", json_keep(scanning));
	if (!ecr_put_repository(cloud, name, json_keep(changed), refusal))
		return false;
	*out_output = answer_about(cloud, name);
	json_set(*out_output, "imageScanningConfiguration", json_keep(scanning));
	return true;
}

struct referrers {
	const char *subject;
	const struct json *types; /* empty: all */
	struct json *all;
};

static bool type_wanted(const struct referrers *referrers, const char *type)
{
	bool wanted = !json_count(referrers->types);

	for (size_t i = 0; !wanted && i < json_count(referrers->types); i++)
		wanted = text_equal(json_text(json_at(referrers->types, i), ""), type);
	return wanted;
}

static bool add_referrer(void *context, const char *digest, const struct json *image)
{
	struct referrers *referrers = context;
	const char *type = json_get_text(image, "artifactMediaType", NULL);

	if (!text_equal(json_get_text(image, "subjectManifestDigest", NULL), referrers->subject) ||
		!type_wanted(referrers, type))
		return true;
	json_append(referrers->all,
		json_object_of("digest", json_text_new(digest), "mediaType",
			json_text_new(json_get_text(image, "imageManifestMediaType", "")),
			"artifactType", type ? json_text_new(type) : NULL, "size",
			json_int_new(json_get_int(image, "_size", 0)), "annotations",
			json_copy(json_get(image, "_annotations")), "artifactStatus",
			json_text_new("ACTIVE"), NULL));
	return true;
}

bool ecr_answer_list_image_referrers(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	struct referrers referrers = {.subject = json_get_text(json_get(input, "subjectId"),
					      "imageDigest", NULL),
		.types = json_get(json_get(input, "filter"), "artifactTypes")};
	size_t from;
	int64_t limit;

	if (!repository || !input_page(input, "nextToken", ECR_INVALID, &from, refusal) ||
		!input_int(input, "maxResults", 1, REFERRERS_PAGE, REFERRERS_PAGE, ECR_INVALID,
			&limit, refusal))
		return false;
	if (!referrers.subject)
		return refuse(refusal, 400, ECR_INVALID, "Invalid parameter at 'subjectId'");
	referrers.all = json_array_new();
	content_each_image(cloud->content, repository, add_referrer, &referrers);
	*out_output = json_object_new();
	output_page(*out_output, "referrers", referrers.all, from, (size_t)limit, "nextToken");
	return true;
}
