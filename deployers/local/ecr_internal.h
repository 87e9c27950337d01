/*
 * ecr_internal.h - what the files of ECR share: ecr_operations.c (the table), ecr_repositories.c,
 *                  ecr_images.c. What exists is content.h's.
 */
#ifndef DEPLOYERS_LOCAL_ECR_INTERNAL_H
#define DEPLOYERS_LOCAL_ECR_INTERNAL_H

#include "deployers/local/operation.h"

#define ECR_INVALID "InvalidParameterException"
#define ECR_OPERATION(name)                                                                        \
	bool name(struct cloud *cloud, const struct json *input, struct json **out_output,         \
		struct refusal *refusal)

ECR_OPERATION(ecr_answer_create_repository);
ECR_OPERATION(ecr_answer_describe_repositories);
ECR_OPERATION(ecr_answer_delete_repository);
ECR_OPERATION(ecr_answer_get_authorization_token);
ECR_OPERATION(ecr_answer_batch_get_image);
ECR_OPERATION(ecr_answer_describe_images);
ECR_OPERATION(ecr_answer_list_images);
ECR_OPERATION(ecr_answer_put_image);
ECR_OPERATION(ecr_answer_batch_delete_image);
ECR_OPERATION(ecr_answer_batch_check_layer_availability);

/* The name of the repository that the input names, which must exist; NULL: refused. */
const char *ecr_repository_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal);

#endif
