#include "builders/image/layer_plan.h"

#include "base/memory.h"

#include <stdlib.h>

void layer_plan_free(struct layer_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->parts[i].entries);
	free(plan->parts);
	*plan = (struct layer_plan){0};
}

struct layer_plan layer_plan_of(const struct tree *tree)
{
	struct layer_plan plan = {.parts = memory_new_array(LAYER_KINDS, sizeof(*plan.parts))};
	size_t counts[LAYER_KINDS] = {0}, part_of[LAYER_KINDS] = {0};

	for (size_t i = 0; i < tree->count; i++)
		counts[tree->entries[i].layer]++;
	for (int kind = 0; kind < LAYER_KINDS; kind++) {
		if (counts[kind] == 0)
			continue;
		part_of[kind] = plan.count;
		plan.parts[plan.count++] = (struct layer_part){.kind = (enum layer_kind)kind,
			.entries = memory_new_array(counts[kind], sizeof(uint32_t))};
	}
	for (size_t i = 0; i < tree->count; i++) {
		struct layer_part *part = &plan.parts[part_of[tree->entries[i].layer]];
		part->entries[part->count++] = (uint32_t)i;
	}
	return plan;
}
