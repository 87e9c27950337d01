#include "tests/test.h"

#include "services/kit/metrics.h"

TEST(requests_and_counters_are_written_as_prometheus_reads_them)
{
	scoped(metrics_free) struct metrics *metrics = metrics_new("rooms");
	scoped(buf_free) struct buf out = {0};

	metrics_count_request(metrics, "GET", "/rooms", 200, 400);
	metrics_count_request(metrics, "GET", "/rooms", 200, 3000);
	metrics_count_request(metrics, "GET", "/rooms", 500, 9000000);
	metrics_count(metrics, "bookings_total", "Bookings asked for.", "result", "made");
	metrics_count(metrics, "replays_total", "Replays.", NULL, NULL);
	metrics_count(metrics, "bookings_total", "Bookings asked for.", "result", "taken");
	metrics_count(metrics, "bookings_total", "Bookings asked for.", "result", "taken");
	metrics_write(metrics, 3, true, &out);
	const char *text = buf_text(&out);

	CHECK_CONTAINS(text, "\nservice_ready{service=\"rooms\"} 1\n");
	CHECK_CONTAINS(text, "\nhttp_requests_open 3\n");
	CHECK_CONTAINS(text,
		"\nhttp_requests_total{method=\"GET\",route=\"/rooms\",status=\"200\"} 2\n");
	CHECK_CONTAINS(text,
		"\nhttp_requests_total{method=\"GET\",route=\"/rooms\",status=\"500\"} 1\n");
	/* Buckets add up: 0.4 ms is in all, 3 ms from 5 ms on, 9 s only in the last. */
	CHECK_CONTAINS(text, "_bucket{route=\"/rooms\",le=\"0.0005\"} 1\n");
	CHECK_CONTAINS(text, "_bucket{route=\"/rooms\",le=\"0.0025\"} 1\n");
	CHECK_CONTAINS(text, "_bucket{route=\"/rooms\",le=\"0.005\"} 2\n");
	CHECK_CONTAINS(text, "_bucket{route=\"/rooms\",le=\"2.5\"} 2\n");
	CHECK_CONTAINS(text, "_bucket{route=\"/rooms\",le=\"+Inf\"} 3\n");
	CHECK_CONTAINS(text, "_sum{route=\"/rooms\"} 9.003400\n");
	CHECK_CONTAINS(text, "_count{route=\"/rooms\"} 3\n");
	CHECK_CONTAINS(text,
		"# HELP bookings_total Bookings asked for.\n# TYPE bookings_total counter\n"
		"bookings_total{result=\"made\"} 1\nbookings_total{result=\"taken\"} 2\n");
	CHECK_CONTAINS(text, "\nreplays_total 1\n");
	CHECK_CONTAINS(text, "\nprocess_resident_memory_bytes ");
}

TEST_MAIN()
