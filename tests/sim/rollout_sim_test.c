/*
 * Thousands of rollouts in virtual time with random tasks: slow, crashing, dying later, never healthy.
 * Whatever happens
 *   - our own stops never leave fewer healthy tasks than the minimum,
 *   - never more tasks run or start than the maximum (rolling) or both colours need (blue/green),
 *   - with the circuit breaker on, the rollout ends,
 *   - traffic is only ever on a colour that has all its tasks healthy when it is moved there.
 * A failure prints the seed: run with it as SEED to see the same again.
 */
#include "tests/test.h"

#include "deployers/local/rollout.h"

enum { TASKS = 64, STEPS = 4000, STEP_MS = 50 };
enum group { TARGET, SOURCE, OTHERS, GROUPS };

struct sim_task {
	bool used, healthy;
	enum group group;
	int64_t running_at, healthy_at, dies_at; /* -1: never */
};

struct sim {
	uint64_t random;
	struct sim_task tasks[TASKS];
	int64_t now;
	int failed, became_healthy;
	int crash_percent, sick_percent; /* of target tasks */
	int production;
	bool broken; /* an invariant does not hold */
};

static uint32_t draw(struct sim *sim, uint32_t below)
{
	sim->random = sim->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(sim->random >> 33) % below;
}

static void sim_start(struct sim *sim, enum group group)
{
	for (size_t i = 0; i < TASKS; i++) {
		struct sim_task *task = &sim->tasks[i];

		if (task->used)
			continue;
		*task = (struct sim_task){.used = true, .group = group, .dies_at = -1};
		task->running_at = sim->now + draw(sim, 500);
		task->healthy_at = task->running_at + draw(sim, 2000);
		if (group == TARGET && (int)draw(sim, 100) < sim->crash_percent)
			task->dies_at = task->running_at + draw(sim, 3000);
		else if (group == TARGET && (int)draw(sim, 100) < sim->sick_percent)
			task->dies_at = (task->healthy_at = task->running_at + 8000) - 1;
		else if (draw(sim, 200) == 0)
			task->dies_at = task->running_at + draw(sim, 20000); /* bad luck */
		return;
	}
}

static struct rollout_group count(const struct sim *sim, enum group group)
{
	struct rollout_group counts = {0};

	for (size_t i = 0; i < TASKS; i++) {
		const struct sim_task *task = &sim->tasks[i];

		if (!task->used || task->group != group)
			continue;
		counts.starting += sim->now < task->running_at;
		counts.healthy += task->healthy;
		counts.unhealthy += sim->now >= task->running_at && !task->healthy;
	}
	return counts;
}

/* Unhealthy ones first, as the scheduler does. */
static void sim_stop(struct sim *sim, enum group group, int n)
{
	for (int healthy = 0; healthy < 2; healthy++) {
		for (size_t i = 0; i < TASKS && n > 0; i++) {
			struct sim_task *task = &sim->tasks[i];

			if (!task->used || task->group != group || task->healthy != healthy)
				continue;
			task->used = false;
			n--;
		}
	}
}

static void pass_time(struct sim *sim, enum group wanted)
{
	sim->now += STEP_MS;
	for (size_t i = 0; i < TASKS; i++) {
		struct sim_task *task = &sim->tasks[i];

		if (task->used && task->dies_at >= 0 && sim->now >= task->dies_at) {
			task->used = false;
			sim->failed += task->group == wanted;
		} else if (task->used && !task->healthy && sim->now >= task->healthy_at) {
			task->healthy = true;
			sim->became_healthy += task->group == wanted;
		}
	}
}

static void violate(struct sim *sim, uint64_t seed, const char *what, int got, int limit)
{
	if (!sim->broken)
		TEST_FAIL("seed %llu at %lld ms: %s: %d, limit %d", (unsigned long long)seed,
			(long long)sim->now, what, got, limit);
	sim->broken = true;
}

static int healthy_now(const struct sim *sim)
{
	return count(sim, TARGET).healthy + count(sim, SOURCE).healthy + count(sim, OTHERS).healthy;
}

static int alive_now(const struct sim *sim)
{
	int alive = 0;

	for (size_t i = 0; i < TASKS; i++)
		alive += sim->tasks[i].used;
	return alive;
}

static void act(struct sim *sim, const struct strategy *strategy,
	const struct rollout_options *options, const struct rollout_actions *actions, uint64_t seed)
{
	int before = healthy_now(sim);
	int least = (options->desired * options->min_healthy_percent + 99) / 100;
	int most = strategy->shifts_traffic ? 2 * options->desired
					    : options->desired * options->max_percent / 100;

	if (actions->set_production) {
		bool forward = actions->production_permille > sim->production;
		struct rollout_group to = count(sim, forward ? TARGET : SOURCE);

		if (forward && sim->production == 0 && to.healthy < options->desired)
			violate(sim, seed, "traffic moved to too few tasks", to.healthy,
				options->desired);
		sim->production = actions->production_permille;
	}
	sim_stop(sim, TARGET, actions->stop_target);
	sim_stop(sim, SOURCE, actions->stop_source);
	sim_stop(sim, OTHERS, actions->stop_others);
	int after = healthy_now(sim);

	if (!strategy->shifts_traffic && after < before && after < least)
		violate(sim, seed, "healthy tasks after our stops", after, least);
	for (int i = 0; i < actions->start_target; i++)
		sim_start(sim, TARGET);
	for (int i = 0; i < actions->start_source; i++)
		sim_start(sim, SOURCE);
	if (actions->start_target + actions->start_source && alive_now(sim) > most)
		violate(sim, seed, "tasks running or starting", alive_now(sim), most);
}

static void set_up(struct sim *sim, struct rollout_options *options)
{
	*options = (struct rollout_options){.desired = 1 + (int)draw(sim, 10),
		.min_healthy_percent = (int)draw(sim, 5) * 25,
		.max_percent = 100 + (int)draw(sim, 5) * 25,
		.has_source = draw(sim, 4) != 0,
		.step_permille = 1000,
		.bake_ms = draw(sim, 3000)};
	/* A pair of percentages with which nothing could ever move is AWS's stalemate, not ours. */
	if (options->desired * options->max_percent / 100 == options->desired &&
		(options->desired * options->min_healthy_percent + 99) / 100 >= options->desired)
		options->max_percent = 200;
	options->breaker.enabled = options->breaker.rollback = true;
	options->breaker.reset_on_healthy =
		false; /* else a half-broken version may go on for ever */
	options->breaker.value = 50;
	sim->crash_percent = (int)draw(sim, 3) * 50;
	sim->sick_percent = (int)draw(sim, 3) * 20;
	for (int i = 0; options->has_source && i < options->desired; i++)
		sim_start(sim, SOURCE);
	for (int i = 0; i < 3 * (int)draw(sim, 2) && !options->has_source; i++)
		sim_start(sim, OTHERS);
	for (size_t i = 0; i < TASKS; i++) {
		struct sim_task *task = &sim->tasks[i];

		task->healthy = task->used && task->group == SOURCE;
		task->running_at = 0;
	}
}

static enum rollout_status simulate(const char *name, uint64_t seed)
{
	struct sim sim = {.random = seed * 2654435761u + 17};
	const struct strategy *strategy = strategy_find(name);
	struct rollout_options options;
	struct rollout rollout = {0};
	uint32_t request = draw(&sim, 400);

	set_up(&sim, &options);
	for (uint32_t step = 0; step < STEPS && !rollout_ended(rollout.status); step++) {
		struct rollout_observation seen = {.now_ms = sim.now,
			.target = count(&sim, TARGET),
			.source = count(&sim, SOURCE),
			.others = count(&sim, OTHERS),
			.failed = sim.failed,
			.became_healthy = sim.became_healthy,
			.rollback_requested = step == request,
			.production_permille = sim.production};
		struct rollout_actions actions;

		sim.failed = sim.became_healthy = 0;
		strategy->decide(&options, &rollout, &seen, &actions);
		act(&sim, strategy, &options, &actions, seed);
		pass_time(&sim, rollout.status == ROLLOUT_ROLLBACK_IN_PROGRESS ? SOURCE : TARGET);
	}
	if (!rollout_ended(rollout.status))
		violate(&sim, seed, "did not end", rollout.status, 0);
	if (strategy->shifts_traffic && rollout.status == ROLLOUT_SUCCESSFUL &&
		sim.production != 1000)
		violate(&sim, seed, "traffic after success", sim.production, 1000);
	if (strategy->shifts_traffic && rollout.status == ROLLOUT_ROLLBACK_SUCCESSFUL &&
		sim.production != 0)
		violate(&sim, seed, "traffic after a rollback", sim.production, 0);
	return rollout.status;
}

static void simulate_many(const char *name)
{
	const char *given = getenv("SEED");
	uint64_t first = given ? strtoull(given, NULL, 10) : 1;
	int seen[8] = {0};

	for (uint64_t seed = first; seed < first + (given ? 1 : 5000); seed++)
		seen[simulate(name, seed)]++;
	if (given)
		return;
	/* The simulation must have met all ways a rollout can end. */
	CHECK(seen[ROLLOUT_SUCCESSFUL] > 100);
	CHECK(seen[ROLLOUT_ROLLBACK_SUCCESSFUL] > 100);
	CHECK(seen[ROLLOUT_ROLLBACK_FAILED] > 10);
}

TEST(rolling_keeps_its_promises)
{
	simulate_many("ROLLING");
}

TEST(blue_green_keeps_its_promises)
{
	simulate_many("BLUE_GREEN");
}

TEST_MAIN()
