/*
 * ecr_internal.h - what the files of ECR share: ecr_operations.c (the table), ecr_repositories.c,
 *                  ecr_settings.c, ecr_images.c, ecr_layers.c, ecr_lifecycle.c, ecr_scans.c. What
 *                  exists is content.h's.
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
ECR_OPERATION(ecr_answer_initiate_layer_upload);
ECR_OPERATION(ecr_answer_upload_layer_part);
ECR_OPERATION(ecr_answer_complete_layer_upload);
ECR_OPERATION(ecr_answer_get_download_url_for_layer);
ECR_OPERATION(ecr_answer_put_lifecycle_policy);
ECR_OPERATION(ecr_answer_get_lifecycle_policy);
ECR_OPERATION(ecr_answer_delete_lifecycle_policy);
ECR_OPERATION(ecr_answer_start_lifecycle_policy_preview);
ECR_OPERATION(ecr_answer_get_lifecycle_policy_preview);
ECR_OPERATION(ecr_answer_start_image_scan);
ECR_OPERATION(ecr_answer_describe_image_scan_findings);
ECR_OPERATION(ecr_answer_put_image_scanning_configuration);
ECR_OPERATION(ecr_answer_put_image_tag_mutability);
ECR_OPERATION(ecr_answer_list_image_referrers);

/* The name of the repository that the input names, which must exist; NULL: refused. */
const char *ecr_repository_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal);

/* The image that {"imageDigest", "imageTag"} means; NULL with the reason it is none. */
const struct json *ecr_find_image(struct cloud *cloud, const char *repository,
	const struct json *id, const char **out_code, const char **out_reason);
/* The same for an operation that needs it: NULL is refused (ImageNotFoundException). */
const struct json *ecr_image_of(struct cloud *cloud, const char *repository, const struct json *id,
	struct refusal *refusal);
/* Puts a changed copy (taken) of the repository's document. */
bool ecr_put_repository(struct cloud *cloud, const char *name, struct json *changed,
	struct refusal *refusal);
/* Reads imageTagMutability and its filters of the input into a repository's document. */
bool ecr_set_mutability(const struct json *input, const char *fallback, struct json *repository,
	struct refusal *refusal);

#endif
