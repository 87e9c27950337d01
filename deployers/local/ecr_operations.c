#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"

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

static const struct operation rows[] = {
	{"BatchCheckLayerAvailability", ecr_answer_batch_check_layer_availability},
	{"BatchDeleteImage", ecr_answer_batch_delete_image},
	{"BatchGetImage", ecr_answer_batch_get_image},
	{"CreateRepository", ecr_answer_create_repository},
	{"DeleteRepository", ecr_answer_delete_repository},
	{"DescribeImages", ecr_answer_describe_images},
	{"DescribeRepositories", ecr_answer_describe_repositories},
	{"GetAuthorizationToken", ecr_answer_get_authorization_token},
	{"ListImages", ecr_answer_list_images},
	{"PutImage", ecr_answer_put_image},
	{NULL},
};

const struct operation_table ecr_operations = {
	.service = "ecr",
	.target_prefix = "AmazonEC2ContainerRegistry_V20150921",
	.rows = rows,
};
