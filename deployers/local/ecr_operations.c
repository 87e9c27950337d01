#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"
#include "deployers/local/store.h"

const char *ecr_repository_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal)
{
	const char *name = input_text(input, "repositoryName", ECR_INVALID, refusal);

	if (!name || content_repository(cloud->content, name))
		return name;
	refuse(refusal, 400, "RepositoryNotFoundException",
		"The repository with name '%s' does not exist in the registry with id '%s'", name,
		cloud->account);
	return NULL;
}

bool ecr_put_repository(struct cloud *cloud, const char *name, struct json *changed,
	struct refusal *refusal)
{
	struct error err = {0};

	return store_put(cloud->store, "ecr.repository", name, changed, &err) ||
	       refuse_error(refusal, &err);
}

static const struct operation rows[] = {
	{"BatchCheckLayerAvailability", ecr_answer_batch_check_layer_availability},
	{"BatchDeleteImage", ecr_answer_batch_delete_image},
	{"BatchGetImage", ecr_answer_batch_get_image},
	{"CompleteLayerUpload", ecr_answer_complete_layer_upload},
	{"CreateRepository", ecr_answer_create_repository},
	{"DeleteLifecyclePolicy", ecr_answer_delete_lifecycle_policy},
	{"DeleteRepository", ecr_answer_delete_repository},
	{"DescribeImageScanFindings", ecr_answer_describe_image_scan_findings},
	{"DescribeImages", ecr_answer_describe_images},
	{"DescribeRepositories", ecr_answer_describe_repositories},
	{"GetAuthorizationToken", ecr_answer_get_authorization_token},
	{"GetDownloadUrlForLayer", ecr_answer_get_download_url_for_layer},
	{"GetLifecyclePolicy", ecr_answer_get_lifecycle_policy},
	{"GetLifecyclePolicyPreview", ecr_answer_get_lifecycle_policy_preview},
	{"InitiateLayerUpload", ecr_answer_initiate_layer_upload},
	{"ListImageReferrers", ecr_answer_list_image_referrers},
	{"ListImages", ecr_answer_list_images},
	{"PutImage", ecr_answer_put_image},
	{"PutImageScanningConfiguration", ecr_answer_put_image_scanning_configuration},
	{"PutImageTagMutability", ecr_answer_put_image_tag_mutability},
	{"PutLifecyclePolicy", ecr_answer_put_lifecycle_policy},
	{"StartImageScan", ecr_answer_start_image_scan},
	{"StartLifecyclePolicyPreview", ecr_answer_start_lifecycle_policy_preview},
	{"UploadLayerPart", ecr_answer_upload_layer_part},
	{NULL},
};

const struct operation_table ecr_operations = {
	.service = "ecr",
	.target_prefix = "AmazonEC2ContainerRegistry_V20150921",
	.rows = rows,
};
