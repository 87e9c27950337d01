#include "base/aws/services.h"

/* From the published models: endpointPrefix, signingName, serviceId, targetPrefix or apiVersion. */
static const struct aws_service services[] = {
	{"application-autoscaling", "APPLICATION_AUTO_SCALING", "application-autoscaling",
		"application-autoscaling", AWS_JSON_1_1, "AnyScaleFrontendService"},
	{"cloudformation", "CLOUDFORMATION", "cloudformation", "cloudformation", AWS_QUERY,
		"2010-05-15"},
	{"cloudwatch", "CLOUDWATCH", "monitoring", "monitoring", AWS_JSON_1_0,
		"GraniteServiceVersion20100801"},
	{"codebuild", "CODEBUILD", "codebuild", "codebuild", AWS_JSON_1_1, "CodeBuild_20161006"},
	{"codedeploy", "CODEDEPLOY", "codedeploy", "codedeploy", AWS_JSON_1_1,
		"CodeDeploy_20141006"},
	{"codepipeline", "CODEPIPELINE", "codepipeline", "codepipeline", AWS_JSON_1_1,
		"CodePipeline_20150709"},
	{"dynamodb", "DYNAMODB", "dynamodb", "dynamodb", AWS_JSON_1_0, "DynamoDB_20120810"},
	{"ecr", "ECR", "ecr", "api.ecr", AWS_JSON_1_1, "AmazonEC2ContainerRegistry_V20150921"},
	{"ecs", "ECS", "ecs", "ecs", AWS_JSON_1_1, "AmazonEC2ContainerServiceV20141113"},
	{"elbv2", "ELASTIC_LOAD_BALANCING_V2", "elasticloadbalancing", "elasticloadbalancing",
		AWS_QUERY, "2015-12-01"},
	{"kms", "KMS", "kms", "kms", AWS_JSON_1_1, "TrentService"},
	{"logs", "CLOUDWATCH_LOGS", "logs", "logs", AWS_JSON_1_1, "Logs_20140328"},
	{"secretsmanager", "SECRETS_MANAGER", "secretsmanager", "secretsmanager", AWS_JSON_1_1,
		"secretsmanager"},
	{"servicediscovery", "SERVICEDISCOVERY", "servicediscovery", "servicediscovery",
		AWS_JSON_1_1, "Route53AutoNaming_v20170314"},
	{"sqs", "SQS", "sqs", "sqs", AWS_JSON_1_0, "AmazonSQS"},
	{"ssm", "SSM", "ssm", "ssm", AWS_JSON_1_1, "AmazonSSM"},
	{"sts", "STS", "sts", "sts", AWS_QUERY, "2011-06-15"},
};

const struct aws_service *aws_service_find(const char *name)
{
	for (size_t i = 0; i < countof(services); i++)
		if (text_equal(services[i].name, name))
			return &services[i];
	return NULL;
}

/*
 * What may be repeated; the first row that matches decides, no row means no. Registering a task
 * definition is not in it: each accepted call makes another revision.
 */
static const struct {
	const char *service, *operation; /* patterns */
	const char *token;               /* only with this member in the input; NULL: always */
	const char *unless;              /* not when this member is true */
} repeatable[] = {
	{"ecs", "CreateCluster", NULL, NULL},
	{"ecs", "CreateService", "clientToken", NULL},
	{"ecs", "CreateTaskSet", "clientToken", NULL},
	{"ecs", "RunTask", "clientToken", NULL},
	{"ecs", "UpdateService", NULL, "forceNewDeployment"},
	{"ecs", "Update*", NULL, NULL},
	{"ecs", "StopTask", NULL, NULL},
	{"elbv2", "Create*", NULL, NULL}, /* the same name and settings answer what is there */
	{"elbv2", "Modify*", NULL, NULL},
	{"elbv2", "Set*", NULL, NULL},
	{"elbv2", "*RegisterTargets", NULL, NULL},
	{"elbv2", "DeregisterTargets", NULL, NULL},
	{"codebuild", "StartBuild", "idempotencyToken", NULL},
	{"codepipeline", "StartPipelineExecution", "clientRequestToken", NULL},
	{"sqs", "Receive*", NULL, NULL},
	{"kms", "Sign", NULL, NULL}, /* changes nothing; a second signature is as good */
	{"logs", "PutLogEvents", "sequenceToken", NULL}, /* or lines appear twice */
	{"sts", "AssumeRole*", NULL, NULL},
	{"*", "BatchCheck*", NULL, NULL},
	{"*", "BatchGet*", NULL, NULL},
	{"*", "Delete*", NULL, NULL},
	{"*", "Deregister*", NULL, NULL},
	{"*", "Describe*", NULL, NULL},
	{"*", "Filter*", NULL, NULL},
	{"*", "Get*", NULL, NULL},
	{"*", "List*", NULL, NULL},
	{"*", "Put*", NULL, NULL},
	{"*", "RegisterScalableTarget", NULL, NULL},
	{"*", "TagResource", NULL, NULL},
	{"*", "UntagResource", NULL, NULL},
};

bool aws_is_idempotent(const char *service, const char *operation, const struct json *input)
{
	for (size_t i = 0; i < countof(repeatable); i++) {
		if (!text_matches(service, repeatable[i].service) ||
			!text_matches(operation, repeatable[i].operation))
			continue;
		if (repeatable[i].token)
			return json_get(input, repeatable[i].token) != NULL;
		return !repeatable[i].unless || !json_get_bool(input, repeatable[i].unless, false);
	}
	return false;
}
