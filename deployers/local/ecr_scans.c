#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"
#include "deployers/local/scan.h"

#include "base/memory.h"

enum { PAGE = 100, PAGE_MAX = 1000 };

/* {"registryId", "repositoryName", "imageId"}; the caller's */
static struct json *answer_about(struct cloud *cloud, const char *repository, const char *digest,
	const struct json *id)
{
	const char *tag = json_get_text(id, "imageTag", NULL);

	return json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(repository), "imageId",
		json_object_of("imageDigest", json_text_new(digest), "imageTag",
			tag ? json_text_new(tag) : NULL, NULL),
		NULL);
}

bool ecr_answer_start_image_scan(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *id = json_get(input, "imageId");
	const struct json *image = repository ? ecr_image_of(cloud, repository, id, refusal) : NULL;
	struct error err = {0};

	if (!image)
		return false;
	scoped(text_free) char *digest = memory_copy_text(json_get_text(image, "imageDigest", ""));

	if (!scan_image(cloud, repository, digest, &err))
		return refuse_error(refusal, &err);
	*out_output = answer_about(cloud, repository, digest, id);
	json_set(*out_output, "imageScanStatus",
		json_object_of("status", json_text_new("IN_PROGRESS"), NULL));
	return true;
}

bool ecr_answer_describe_image_scan_findings(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *id = json_get(input, "imageId");
	const struct json *image = repository ? ecr_image_of(cloud, repository, id, refusal) : NULL;
	size_t from;
	int64_t limit;

	if (!image || !input_page(input, "nextToken", ECR_INVALID, &from, refusal) ||
		!input_int(input, "maxResults", 1, PAGE_MAX, PAGE, ECR_INVALID, &limit, refusal))
		return false;
	const struct json *status = json_get(image, "imageScanStatus"),
			  *findings = json_get(image, "_findings");
	const char *digest = json_get_text(image, "imageDigest", "");

	if (!status)
		return refuse(refusal, 400, "ScanNotFoundException",
			"Image scan does not exist for the image with '{imageDigest:'%s', "
			"imageTag:'%s'}' in the repository with name '%s' in the registry with id "
			"'%s'",
			digest, json_get_text(id, "imageTag", "null"), repository, cloud->account);
	*out_output = answer_about(cloud, repository, digest, id);
	json_set(*out_output, "imageScanStatus", json_copy(status));
	if (findings) {
		struct json *shown = json_copy(json_get(image, "imageScanFindingsSummary"));

		/* output_page() puts the token beside the list; it belongs one level up. */
		output_page(shown, "findings", json_copy(findings), from, (size_t)limit,
			"nextToken");
		json_set(*out_output, "nextToken", json_copy(json_get(shown, "nextToken")));
		json_remove(shown, "nextToken");
		json_set(*out_output, "imageScanFindings", shown);
	}
	return true;
}
