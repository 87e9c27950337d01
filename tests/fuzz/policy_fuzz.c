/* A policy is written by people; keys in it may be anything. Files that it names are not looked for. */
#include "builders/evidence/policy.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(policy_free) struct policy policy = {0};
	struct error err = {0};

	if (!policy_parse((struct str){(const char *)data, size}, "policy.yml", "/nonexistent",
		    &policy, &err))
		error_free(&err);
	return 0;
}
