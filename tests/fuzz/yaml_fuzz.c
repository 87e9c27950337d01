#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every piece of the tree is looked at, so that a piece outside its memory is found. */
static size_t walk(const struct yaml *node)
{
	size_t sum = node->text.size ? strlen(node->text.data) : 0;

	for (size_t i = 0; i < node->count; i++) {
		if (node->kind == YAML_MAPPING)
			sum += strlen(node->pairs[i].key.data) + walk(node->pairs[i].value);
		else
			sum += walk(node->items[i]);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(arena_free) struct arena arena = {0};
	struct yaml *root = NULL;
	struct error err = {0};

	if (yaml_parse((struct str){(const char *)data, size}, "fuzz", &arena, &root, &err))
		(void)walk(root);
	error_free(&err);
	return 0;
}
