#include "deployers/ecs/strategies.h"

#include "base/memory.h"

static int64_t whole_minutes(int64_t ms)
{
	return (ms + 59999) / 60000;
}

static void set_bake(struct json *configuration, const struct deploy_strategy_choice *choice)
{
	json_set_int(configuration, "bakeTimeInMinutes", whole_minutes(choice->bake_ms));
}

static void configure_canary(struct json *configuration,
	const struct deploy_strategy_choice *choice)
{
	struct json *canary = json_object_new();

	set_bake(configuration, choice);
	if (choice->percent)
		json_set_real(canary, "canaryPercent", (double)choice->percent);
	if (choice->step_ms)
		json_set_int(canary, "canaryBakeTimeInMinutes", whole_minutes(choice->step_ms));
	json_set(configuration, "canaryConfiguration", canary);
}

static void configure_linear(struct json *configuration,
	const struct deploy_strategy_choice *choice)
{
	struct json *linear = json_object_new();

	set_bake(configuration, choice);
	if (choice->percent)
		json_set_real(linear, "stepPercent", (double)choice->percent);
	if (choice->step_ms)
		json_set_int(linear, "stepBakeTimeInMinutes", whole_minutes(choice->step_ms));
	json_set(configuration, "linearConfiguration", linear);
}

static const struct deploy_strategy strategies[] = {
	{"rolling", "ROLLING", false, NULL},
	{"blue_green", "BLUE_GREEN", true, set_bake},
	{"canary", "CANARY", true, configure_canary},
	{"linear", "LINEAR", true, configure_linear},
};

bool deploy_strategy_find(const char *name, const struct deploy_strategy **out_strategy,
	struct error *err)
{
	const char *names[countof(strategies)];

	for (size_t i = 0; i < countof(strategies); i++) {
		names[i] = strategies[i].name;
		if (text_equal(strategies[i].name, name)) {
			*out_strategy = &strategies[i];
			return true;
		}
	}
	const char *nearest = text_nearest(name, names, countof(names));

	error_raise(err, ERROR_USAGE, "the strategy \"%s\" is not known for ECS", name);
	return error_next(err, nearest ? "did you mean \"%s\"?" : "use %s, for example",
		nearest ? nearest : "rolling");
}

const struct deploy_strategy *deploy_strategy_of_ecs(const char *ecs_name)
{
	for (size_t i = 0; i < countof(strategies); i++)
		if (text_equal(strategies[i].ecs_name, ecs_name))
			return &strategies[i];
	return &strategies[0];
}

void deploy_strategy_apply(const struct deploy_strategy *strategy,
	const struct deploy_strategy_choice *choice, struct json *configuration)
{
	json_set_text(configuration, "strategy", strategy->ecs_name);
	if (strategy->configure)
		strategy->configure(configuration, choice);
	if (!json_get(configuration, "deploymentCircuitBreaker"))
		json_set(configuration, "deploymentCircuitBreaker",
			json_object_of("enable", json_bool_new(true), "rollback",
				json_bool_new(true), NULL));
}
