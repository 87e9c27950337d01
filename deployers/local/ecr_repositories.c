#include "deployers/local/auth.h"
#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"
#include "deployers/local/store.h"

#include "base/memory.h"

enum { PAGE = 100, PAGE_MAX = 1000, BATCH_MAX = 100 };

/* The uri follows the endpoint, which may move between two starts. */
static struct json *shown_repository(struct cloud *cloud, const struct json *repository)
{
	struct json *shown = store_public(repository);

	json_set(shown, "repositoryUri",
		json_text_format("%s:%d/%s", cloud->host, cloud->port,
			json_get_text(repository, "repositoryName", "")));
	return shown;
}

bool ecr_answer_create_repository(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *name = input_text(input, "repositoryName", ECR_INVALID, refusal);
	const struct json *scanning = json_get(input, "imageScanningConfiguration");

	if (!name)
		return false;
	if (!content_repository_name_valid(str_of(name)))
		return refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must "
			"satisfy regular expression "
			"'[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/"
			"[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''");
	if (content_repository(cloud->content, name))
		return refuse(refusal, 400, "RepositoryAlreadyExistsException",
			"The repository with name '%s' already exists in the registry with id '%s'",
			name, cloud->account);
	scoped(text_free) char *arn = cloud_arn(cloud, "ecr", "repository/%s", name);
	scoped(json_free) struct json *repository = json_object_of("repositoryArn",
		json_text_new(arn), "registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(name), "createdAt",
		json_real_new((double)clock_now(cloud->clock) / 1000), "imageScanningConfiguration",
		scanning ? json_copy(scanning)
			 : json_object_of("scanOnPush", json_bool_new(false), NULL),
		"encryptionConfiguration",
		json_object_of("encryptionType", json_text_new("AES256"), NULL), "_tags",
		json_copy(json_get(input, "tags")), NULL);

	if (!ecr_set_mutability(input, "MUTABLE", repository, refusal) ||
		!ecr_put_repository(cloud, name, json_keep(repository), refusal))
		return false;
	*out_output = json_object_of("repository", shown_repository(cloud, repository), NULL);
	return true;
}

struct collector {
	struct cloud *cloud;
	struct json *all;
};

static bool add_repository(void *context, const char *id, const struct json *repository)
{
	struct collector *collector = context;

	(void)id;
	json_append(collector->all, shown_repository(collector->cloud, repository));
	return true;
}

bool ecr_answer_describe_repositories(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const struct json *names = json_get(input, "repositoryNames");
	struct collector collector = {.cloud = cloud};
	size_t from;
	int64_t limit;

	if (!input_page(input, "nextToken", ECR_INVALID, &from, refusal) ||
		!input_int(input, "maxResults", 1, PAGE_MAX, json_count(names) ? BATCH_MAX : PAGE,
			ECR_INVALID, &limit, refusal))
		return false;
	for (size_t i = 0; i < json_count(names); i++) {
		const char *name = json_text(json_at(names, i), "");

		if (!content_repository(cloud->content, name))
			return refuse(refusal, 400, "RepositoryNotFoundException",
				"The repository with name '%s' does not exist in the registry with "
				"id '%s'",
				name, cloud->account);
	}
	collector.all = json_array_new();
	if (json_count(names))
		for (size_t i = 0; i < json_count(names); i++)
			add_repository(&collector, NULL,
				content_repository(cloud->content,
					json_text(json_at(names, i), "")));
	else
		store_each(cloud->store, "ecr.repository", add_repository, &collector);
	*out_output = json_object_new();
	output_page(*out_output, "repositories", collector.all, from, (size_t)limit, "nextToken");
	return true;
}

static bool stop_at_first(void *context, const char *digest, const struct json *image)
{
	(void)digest;
	(void)image;
	*(bool *)context = true;
	return false;
}

bool ecr_answer_delete_repository(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *name = ecr_repository_of(cloud, input, refusal);
	struct error err = {0};
	bool images = false;

	if (!name)
		return false;
	content_each_image(cloud->content, name, stop_at_first, &images);
	if (images && !json_get_bool(input, "force", false))
		return refuse(refusal, 400, "RepositoryNotEmptyException",
			"The repository with name '%s' in registry with id '%s' cannot be deleted "
			"because it still contains images",
			name, cloud->account);
	struct json *shown = shown_repository(cloud, content_repository(cloud->content, name));

	*out_output = json_object_of("repository", shown, NULL);
	if (!content_remove_repository(cloud->content, name, &err))
		return refuse_error(refusal, &err);
	return true;
}

bool ecr_answer_get_authorization_token(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	int64_t expires_ms;
	scoped(text_free) char *password = auth_registry_password(cloud->auth, &expires_ms);
	scoped(text_free) char *plain = memory_format("AWS:%s", password);
	scoped(buf_free) struct buf token = {0};
	struct json *list = json_array_new();

	(void)input;
	(void)refusal;
	base64_append(&token, plain, strlen(plain));
	json_append(list,
		json_object_of("authorizationToken", json_text_new(buf_text(&token)), "expiresAt",
			json_real_new((double)expires_ms / 1000), "proxyEndpoint",
			json_text_format("http://%s:%d", cloud->host, cloud->port), NULL));
	*out_output = json_object_of("authorizationData", list, NULL);
	return true;
}
