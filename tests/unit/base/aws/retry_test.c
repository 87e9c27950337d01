#include "tests/test.h"

#include "base/aws/retry.h"
#include "base/aws/services.h"

static struct retry start(int attempts, bool idempotent)
{
	return (struct retry){.max_attempts = attempts, .idempotent = idempotent};
}

/* Standard mode: chance * min(2^(n-1), 20) s before the n-th repeat. */
TEST(delays_double_up_to_twenty_seconds)
{
	static const int64_t expected_ms[] = {1000, 2000, 4000, 8000, 16000, 20000, 20000};
	struct retry_bucket bucket = {RETRY_TOKENS};
	struct retry retry = start(8, true);

	for (size_t i = 0; i < countof(expected_ms); i++) {
		int64_t delay_ms = -1;

		CHECK(retry_decide(&retry, &bucket, RETRY_TRANSIENT, 1.0, &delay_ms));
		CHECK_INT(delay_ms, expected_ms[i]);
	}
	int64_t unused;

	CHECK(!retry_decide(&retry, &bucket, RETRY_TRANSIENT, 1.0, &unused));
	CHECK_INT(retry.attempts, 8);
}

TEST(chance_spreads_the_delay)
{
	struct retry_bucket bucket = {RETRY_TOKENS};
	struct retry retry = start(3, true);
	int64_t delay_ms = -1;

	CHECK(retry_decide(&retry, &bucket, RETRY_THROTTLED, 0.0, &delay_ms));
	CHECK_INT(delay_ms, 0);
	CHECK(retry_decide(&retry, &bucket, RETRY_THROTTLED, 0.25, &delay_ms));
	CHECK_INT(delay_ms, 500);
}

TEST(three_attempts_in_all)
{
	struct retry_bucket bucket = {RETRY_TOKENS};
	struct retry retry = start(RETRY_ATTEMPTS, true);
	int64_t delay_ms;

	CHECK(retry_decide(&retry, &bucket, RETRY_TRANSIENT, 0, &delay_ms));
	CHECK(retry_decide(&retry, &bucket, RETRY_TRANSIENT, 0, &delay_ms));
	CHECK(!retry_decide(&retry, &bucket, RETRY_TRANSIENT, 0, &delay_ms));
}

TEST(what_may_have_been_carried_out_is_repeated_only_when_that_is_harmless)
{
	static const struct {
		enum retry_outcome outcome;
		bool idempotent, repeated;
	} rows[] = {
		{RETRY_DONE, true, false},
		{RETRY_NOT_ARRIVED, false, true},
		{RETRY_THROTTLED, false, true},
		{RETRY_TRANSIENT, false, false},
		{RETRY_TRANSIENT, true, true},
		{RETRY_TIMED_OUT, false, false},
		{RETRY_TIMED_OUT, true, true},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct retry_bucket bucket = {RETRY_TOKENS};
		struct retry retry = start(3, rows[i].idempotent);
		int64_t delay_ms;

		CHECK_INT(retry_decide(&retry, &bucket, rows[i].outcome, 0, &delay_ms),
			rows[i].repeated);
	}
}

/* A repeat costs 5, after a timeout 10; a repeat that succeeds returns its cost, else 1 flows back. */
TEST(the_bucket_empties_and_fills)
{
	struct retry_bucket bucket = {21};
	struct retry retry = start(10, true), other = start(10, true), fine = start(10, true);
	int64_t delay_ms;

	CHECK(retry_decide(&retry, &bucket, RETRY_TRANSIENT, 0, &delay_ms));
	CHECK_INT(bucket.tokens, 16);
	CHECK(retry_decide(&retry, &bucket, RETRY_TIMED_OUT, 0, &delay_ms));
	CHECK_INT(bucket.tokens, 6);
	CHECK(!retry_decide(&retry, &bucket, RETRY_TIMED_OUT, 0, &delay_ms));
	CHECK(retry_decide(&other, &bucket, RETRY_TRANSIENT, 0, &delay_ms));
	CHECK_INT(bucket.tokens, 1);
	CHECK(!retry_decide(&other, &bucket, RETRY_TRANSIENT, 0, &delay_ms));
	retry_succeeded(&retry, &bucket);
	CHECK_INT(bucket.tokens, 11);
	retry_succeeded(&fine, &bucket);
	CHECK_INT(bucket.tokens, 12);
	bucket.tokens = RETRY_TOKENS;
	retry_succeeded(&retry, &bucket);
	CHECK_INT(bucket.tokens, RETRY_TOKENS);
}

TEST(calls_that_may_be_repeated)
{
	scoped(json_free) struct json *token =
		json_object_of("clientToken", json_text_new("t"), NULL);
	scoped(json_free) struct json *force =
		json_object_of("forceNewDeployment", json_bool_new(true), NULL);

	CHECK(aws_is_idempotent("ecs", "DescribeServices", NULL));
	CHECK(aws_is_idempotent("elbv2", "ModifyRule", NULL));
	CHECK(aws_is_idempotent("ecr", "GetAuthorizationToken", NULL));
	CHECK(aws_is_idempotent("ecs", "DeleteService", NULL));
	CHECK(aws_is_idempotent("ecs", "UpdateService", NULL));
	CHECK(!aws_is_idempotent("ecs", "UpdateService", force));
	CHECK(!aws_is_idempotent("ecs", "RegisterTaskDefinition", NULL));
	CHECK(!aws_is_idempotent("ecs", "CreateService", NULL));
	CHECK(aws_is_idempotent("ecs", "CreateService", token));
	CHECK(!aws_is_idempotent("codedeploy", "CreateDeployment", NULL));
	CHECK(!aws_is_idempotent("logs", "PutLogEvents", NULL));
}

TEST_MAIN()
