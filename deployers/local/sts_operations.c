#include "deployers/local/auth.h"
#include "deployers/local/operation.h"

static bool get_caller_identity(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	(void)input;
	(void)refusal;
	*out_output = json_object_of("UserId", json_text_new(auth_access_key_id(cloud->auth)),
		"Account", json_text_new(cloud->account), "Arn",
		json_text_format("arn:aws:iam::%s:user/local", cloud->account), NULL);
	return true;
}

static const struct operation rows[] = {
	{"GetCallerIdentity", get_caller_identity},
	{NULL},
};

const struct operation_table sts_operations = {
	.service = "sts",
	.query_version = "2011-06-15",
	.query_namespace = "https://sts.amazonaws.com/doc/2011-06-15/",
	.rows = rows,
};
