#include "tests/test.h"

#include "builders/registry/upload_course.h"

enum { MIB = 1 << 20 };

/* Moves on by one answer; what it says is checked by the caller. */
static bool next(struct upload_course *c, struct upload_answer answer)
{
	bool again;

	return upload_course_next(c, &answer, &again);
}

static struct upload_course at(enum upload_step step, int64_t size_bytes)
{
	return (struct upload_course){.step = step, .size_bytes = size_bytes};
}

#define LOST(bytes) ((struct upload_answer){.passing = true, .sent_bytes = (bytes)})
#define SAID(code) ((struct upload_answer){.status = (code)})
#define HAS(code, text) ((struct upload_answer){.status = (code), .range = str_literal(text)})

TEST(a_range_is_inclusive_and_0_0_says_nothing)
{
	CHECK_INT(upload_range_size(str_literal("0-1023")), 1024);
	CHECK_INT(upload_range_size(str_literal(" bytes=0-9 ")), 10);
	CHECK_INT(upload_range_size(str_literal("bytes 0-9")), 10);
	CHECK_INT(upload_range_size(str_literal("0-0")), 0);
	CHECK_INT(upload_range_size(str_literal("5-9")), 0);
	CHECK_INT(upload_range_size(str_literal("0-")), 0);
	CHECK_INT(upload_range_size(str_literal("")), 0);
	CHECK_INT(upload_range_size(str_literal("0-9223372036854775807")), 0);
	CHECK_INT(upload_range_size(str_literal("0--7")), 0);
}

TEST(a_blob_goes_in_two_requests)
{
	struct upload_course c = at(UPLOAD_BEGIN, 10);

	CHECK(next(&c, SAID(202)));
	CHECK_INT(c.step, UPLOAD_WHOLE);
	CHECK_INT(upload_course_piece(&c), 10);
	CHECK(next(&c, SAID(201)));
	CHECK_INT(c.step, UPLOAD_DONE);
}

TEST(a_204_and_a_202_for_a_put_are_a_success)
{
	static const int codes[] = {201, 202, 204};

	for (size_t i = 0; i < countof(codes); i++) {
		struct upload_course c = at(UPLOAD_WHOLE, 10);
		CHECK(next(&c, SAID(codes[i])));
		CHECK_INT(c.step, UPLOAD_DONE);
	}
}

TEST(a_refused_mount_is_followed_by_an_ordinary_upload)
{
	static const int codes[] = {400, 401, 403, 404, 405, 0};

	for (size_t i = 0; i < countof(codes); i++) {
		struct upload_course c = at(UPLOAD_BEGIN, 10);
		CHECK(next(&c, SAID(codes[i])));
		CHECK(c.mount_refused);
		CHECK_INT(c.step, UPLOAD_BEGIN);
		CHECK(!next(&c, SAID(codes[i]))); /* now it is the upload that is refused */
	}
}

TEST(an_upload_that_broke_early_is_begun_anew)
{
	struct upload_course c = at(UPLOAD_WHOLE, 100 * MIB);

	CHECK(next(&c, LOST(MIB - 1)));
	CHECK_INT(c.step, UPLOAD_BEGIN);
}

TEST(an_upload_that_broke_late_goes_on_where_it_stopped)
{
	struct upload_course c = at(UPLOAD_WHOLE, 100 * MIB);

	CHECK(next(&c, LOST(60 * MIB)));
	CHECK_INT(c.step, UPLOAD_ASK);
	CHECK(next(&c, HAS(204, "0-52428799"))); /* 50 MiB */
	CHECK_INT(c.step, UPLOAD_REST);
	CHECK_INT(c.offset, 50 * MIB);
	CHECK_INT(upload_course_piece(&c), 50 * MIB);
	CHECK(next(&c, SAID(201)));
	CHECK_INT(c.step, UPLOAD_DONE);
}

TEST(a_session_that_has_everything_is_closed)
{
	struct upload_course c = at(UPLOAD_ASK, 2 * MIB);

	CHECK(next(&c, HAS(204, "0-2097151")));
	CHECK_INT(c.step, UPLOAD_CLOSE);
}

TEST(a_session_that_is_gone_or_lies_is_begun_anew)
{
	const struct upload_answer answers[] = {SAID(404), SAID(204), HAS(204, "0-0"),
		HAS(204, "0-99999999"), HAS(204, "x")};

	for (size_t i = 0; i < countof(answers); i++) {
		struct upload_course c = at(UPLOAD_ASK, 2 * MIB);
		CHECK(next(&c, answers[i]));
		CHECK_INT(c.step, UPLOAD_BEGIN);
		CHECK_INT(c.offset, 0);
	}
}

TEST(ecr_takes_no_rest_so_the_whole_goes_again)
{
	struct upload_course c = at(UPLOAD_REST, 100 * MIB);

	c.offset = 50 * MIB;
	CHECK(next(&c,
		SAID(400))); /* "the first byte of the layer part is 0 instead of 52428800" */
	CHECK_INT(c.step, UPLOAD_BEGIN);
	CHECK(c.resume_refused);
	CHECK(next(&c, SAID(202)));
	CHECK(next(&c, LOST(60 * MIB)));
	CHECK_INT(c.step, UPLOAD_BEGIN); /* not asked a second time */
}

TEST(a_413_leads_to_chunks_of_8_mib)
{
	struct upload_course c = at(UPLOAD_WHOLE, 20 * MIB);

	CHECK(next(&c, SAID(413)));
	CHECK_INT(c.step, UPLOAD_BEGIN);
	CHECK(next(&c, SAID(202)));
	CHECK_INT(c.step, UPLOAD_CHUNK);
	CHECK_INT(upload_course_piece(&c), 8 * MIB);
	CHECK(next(&c, HAS(202, "0-8388607")));
	CHECK(next(&c, HAS(202, "0-16777215")));
	CHECK_INT(upload_course_piece(&c), 4 * MIB);
	CHECK(next(&c, HAS(202, "0-20971519")));
	CHECK_INT(c.step, UPLOAD_CLOSE);
	CHECK(next(&c, SAID(201)));
	CHECK_INT(c.step, UPLOAD_DONE);
}

TEST(the_range_of_ecr_that_never_moves_is_not_believed)
{
	struct upload_course c = at(UPLOAD_CHUNK, 20 * MIB);

	c.chunk_bytes = 8 * MIB;
	CHECK(next(&c, HAS(201, "0-8388607")));
	CHECK(next(&c, HAS(201, "0-8388607")));
	CHECK_INT(c.offset, 16 * MIB);
	CHECK(next(&c, HAS(201, "0-8388607")));
	CHECK_INT(c.step, UPLOAD_CLOSE);
}

TEST(half_a_chunk_taken_is_half_a_chunk)
{
	struct upload_course c = at(UPLOAD_CHUNK, 20 * MIB);

	c.chunk_bytes = 8 * MIB;
	CHECK(next(&c, HAS(202, "0-1048575")));
	CHECK_INT(c.offset, MIB);
	CHECK_INT(c.step, UPLOAD_CHUNK);
}

TEST(ghcr_takes_4_mib_a_time)
{
	struct upload_course c = at(UPLOAD_CHUNK, 20 * MIB);

	c.chunk_bytes = 8 * MIB;
	CHECK(next(&c, (struct upload_answer){.status = 416, .too_large = true}));
	CHECK_INT(c.step, UPLOAD_BEGIN);
	CHECK(next(&c, SAID(202)));
	CHECK_INT(upload_course_piece(&c), 4 * MIB);
}

TEST(chunks_do_not_become_smaller_for_ever)
{
	struct upload_course c = at(UPLOAD_CHUNK, 20 * MIB);
	int rounds = 0;

	c.chunk_bytes = 8 * MIB;
	while (next(&c, (struct upload_answer){.status = 413, .too_large = true})) {
		CHECK(next(&c, SAID(202)));
		if (++rounds > 100)
			break;
	}
	CHECK_INT(rounds, 7); /* 4 MiB, 2, 1, 512 KiB, 256, 128, 64 */
}

TEST(the_least_chunk_that_a_registry_names_is_kept)
{
	struct upload_course c = at(UPLOAD_WHOLE, 100 * MIB);

	CHECK(next(&c, SAID(413)));
	CHECK(next(&c, (struct upload_answer){.status = 202, .chunk_floor = 16 * MIB}));
	CHECK_INT(upload_course_piece(&c), 16 * MIB);
	CHECK(!next(&c, (struct upload_answer){.status = 413, .too_large = true}));
}

TEST(a_416_is_followed_by_the_question_where_to_go_on)
{
	struct upload_course c = at(UPLOAD_CHUNK, 20 * MIB);

	c.chunk_bytes = 8 * MIB;
	c.offset = 8 * MIB;
	CHECK(next(&c, SAID(416)));
	CHECK_INT(c.step, UPLOAD_ASK);
	CHECK(next(&c, HAS(204, "0-4194303")));
	CHECK_INT(c.step, UPLOAD_CHUNK);
	CHECK_INT(c.offset, 4 * MIB);
}

TEST(five_failures_without_progress_are_enough)
{
	struct upload_course c = at(UPLOAD_WHOLE, 100 * MIB);

	for (int i = 0; i < 4; i++) {
		CHECK(next(&c, LOST(0)));
		CHECK(next(&c, SAID(202)));
	}
	CHECK(!next(&c, LOST(0)));
}

TEST(progress_earns_new_tries_and_a_dribble_does_not)
{
	struct upload_course c = at(UPLOAD_WHOLE, (int64_t)100 * MIB);
	struct upload_course slow = c;

	for (int i = 1; i <= 20; i++) {
		char range[32];
		snprintf(range, sizeof(range), "0-%d", i * 2 * MIB - 1);
		CHECK(next(&c, LOST(2 * MIB)));
		CHECK(next(&c, (struct upload_answer){.status = 204, .range = str_of(range)}));
		CHECK_INT(c.step, UPLOAD_REST);
	}
	int rounds = 0;
	while (rounds < 100 && next(&slow, LOST(2 * MIB))) {
		char range[32];
		snprintf(range, sizeof(range), "0-%d", ++rounds);
		CHECK(next(&slow, (struct upload_answer){.status = 204, .range = str_of(range)}));
	}
	CHECK_INT(rounds, 4);
}

TEST_MAIN()
