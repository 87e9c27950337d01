#include "deployers/local/ecs_internal.h"

static const struct operation rows[] = {
	{"CreateCluster", ecs_create_cluster},
	{"DescribeClusters", ecs_describe_clusters},
	{"ListClusters", ecs_list_clusters},
	{"DeleteCluster", ecs_delete_cluster},
	{"RegisterTaskDefinition", ecs_register_task_definition},
	{"DescribeTaskDefinition", ecs_describe_task_definition},
	{"ListTaskDefinitions", ecs_list_task_definitions},
	{"ListTaskDefinitionFamilies", ecs_list_task_definition_families},
	{"DeregisterTaskDefinition", ecs_deregister_task_definition},
	{"DeleteTaskDefinitions", ecs_delete_task_definitions},
	{"CreateService", ecs_create_service},
	{"UpdateService", ecs_update_service},
	{"DescribeServices", ecs_describe_services},
	{"ListServices", ecs_list_services},
	{"DeleteService", ecs_delete_service},
	{"RunTask", ecs_run_task},
	{"StopTask", ecs_stop_task},
	{"DescribeTasks", ecs_describe_tasks},
	{"ListTasks", ecs_list_tasks},
	{"DescribeServiceDeployments", ecs_describe_service_deployments},
	{"ListServiceDeployments", ecs_list_service_deployments},
	{"StopServiceDeployment", ecs_stop_service_deployment},
	{"DescribeServiceRevisions", ecs_describe_service_revisions},
	{"TagResource", ecs_tag_resource},
	{"UntagResource", ecs_untag_resource},
	{"ListTagsForResource", ecs_list_tags_for_resource},
	{NULL, NULL},
};

const struct operation_table ecs_operations = {
	.service = "ecs",
	.target_prefix = "AmazonEC2ContainerServiceV20141113",
	.rows = rows,
};
