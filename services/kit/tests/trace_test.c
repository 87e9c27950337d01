#include "tests/test.h"

#include "services/kit/trace.h"

/* The example of the W3C recommendation, section 3.2.2. */
#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define PARENT_ID "b7ad6b7169203331"

TEST(a_trace_goes_on_below_the_callers_span)
{
	struct trace trace = trace_start("00-" TRACE_ID "-" PARENT_ID "-01", "a=1,b=2", "req-7");
	char child[TRACE_PARENT_SIZE];

	CHECK_TEXT(trace.trace_id, TRACE_ID);
	CHECK_TEXT(trace.parent_id, PARENT_ID);
	CHECK_TEXT(trace.state, "a=1,b=2");
	CHECK_TEXT(trace.request_id, "req-7");
	CHECK_INT(strlen(trace.span_id), 16);
	CHECK(strcmp(trace.span_id, PARENT_ID) != 0);
	trace_child(&trace, child);
	CHECK_INT(strlen(child), 55);
	CHECK_CONTAINS(child, "00-" TRACE_ID "-");
	CHECK(strcmp(child + 53, "01") == 0);
	CHECK(strstr(child, PARENT_ID) == NULL);
}

TEST(a_later_version_is_read_as_far_as_it_is_known)
{
	CHECK_TEXT(trace_start("cc-" TRACE_ID "-" PARENT_ID "-00-more", NULL, NULL).trace_id,
		TRACE_ID);
}

TEST(what_makes_no_sense_starts_a_new_trace)
{
	static const char *const parents[] = {
		NULL,
		"",
		"00-" TRACE_ID "-" PARENT_ID,
		"00-" TRACE_ID "-" PARENT_ID "-01-more",
		"ff-" TRACE_ID "-" PARENT_ID "-01",
		"0-" TRACE_ID "-" PARENT_ID "-001",
		"00-0AF7651916CD43DD8448EB211C80319C-" PARENT_ID "-01",
		"00-00000000000000000000000000000000-" PARENT_ID "-01",
		"00-" TRACE_ID "-0000000000000000-01",
		"00-" TRACE_ID "-" PARENT_ID "-0x",
		"00_" TRACE_ID "-" PARENT_ID "-01",
	};

	for (size_t i = 0; i < countof(parents); i++) {
		struct trace trace = trace_start(parents[i], "a=1", NULL);

		CHECK_INT(strlen(trace.trace_id), 32);
		CHECK(strcmp(trace.trace_id, TRACE_ID) != 0);
		CHECK_TEXT(trace.parent_id, "");
		CHECK_TEXT(trace.state, "");
	}
}

TEST(a_request_id_that_could_forge_a_log_line_is_replaced)
{
	CHECK_INT(strlen(trace_start(NULL, NULL, "a\nb").request_id), 32);
	CHECK_INT(strlen(trace_start(NULL, NULL, "").request_id), 32);
	CHECK_INT(strlen(trace_start(NULL, NULL,
			  "12345678901234567890123456789012345678901234567890123456789012345")
				  .request_id),
		32);
	CHECK_TEXT(trace_start(NULL, NULL, "Root=1-67891233-abcdef012345678912345678").request_id,
		"Root=1-67891233-abcdef012345678912345678");
}

TEST_MAIN()
