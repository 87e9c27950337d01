/* A policy is written by people; keys in it may be anything. Files that it names hold one. */
#include "builders/evidence/policy.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no_key(void *self, const char *path, size_t limit_bytes, struct buf *out,
	struct error *err)
{
	(void)self;
	(void)path;
	(void)limit_bytes;
	(void)err;
	buf_append_text(out, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct policy_files files = {.read = no_key};
	scoped(policy_free) struct policy policy = {0};
	struct error err = {0};

	if (!policy_parse((struct str){(const char *)data, size}, "policy.yml", "keys", &files,
		    &policy, &err))
		error_free(&err);
	return 0;
}
