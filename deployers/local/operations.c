#include "deployers/local/operation.h"

const struct operation_table *const operation_tables[] = {
	&ecr_operations,
	&elbv2_operations,
	&ecs_operations,
	&logs_operations,
	&sts_operations,
	NULL,
};
