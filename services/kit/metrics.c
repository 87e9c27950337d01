#include "services/kit/metrics.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Upper bounds in µs. What a service on a local store needs lies at the low end. */
static const int64_t bounds_us[] = {500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	500000, 1000000, 2500000};

struct series {
	const char *method, *route; /* borrowed, static */
	int status;
	int64_t count;
	struct series *following;
};

struct histogram {
	const char *route; /* borrowed, static */
	int64_t counts[countof(bounds_us) + 1];
	int64_t sum_us;
	struct histogram *following;
};

struct counter {
	const char *name, *about, *label, *value; /* borrowed, static */
	int64_t count;
	struct counter *following;
};

struct metrics {
	char *service; /* owned */
	double started_s;
	struct series *series;
	struct histogram *histograms;
	struct counter *counters;
};

struct metrics *metrics_new(const char *service)
{
	struct metrics *metrics = memory_new(sizeof(*metrics));
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	metrics->service = memory_copy_text(service);
	metrics->started_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return metrics;
}

#define FREE_LIST(type, first)                                                                     \
	for (struct type *each = (first), *following; each; each = following) {                    \
		following = each->following;                                                       \
		free(each);                                                                        \
	}

void metrics_free(struct metrics **metrics)
{
	if (!*metrics)
		return;
	FREE_LIST(series, (*metrics)->series)
	FREE_LIST(histogram, (*metrics)->histograms)
	FREE_LIST(counter, (*metrics)->counters)
	free((*metrics)->service);
	free(*metrics);
	*metrics = NULL;
}

static struct series *find_series(struct metrics *metrics, const char *method, const char *route,
	int status)
{
	struct series **at = &metrics->series;

	for (; *at; at = &(*at)->following)
		if ((*at)->status == status && text_equal((*at)->route, route) &&
			text_equal((*at)->method, method))
			return *at;
	*at = memory_new(sizeof(**at));
	**at = (struct series){.method = method, .route = route, .status = status};
	return *at;
}

static struct histogram *find_histogram(struct metrics *metrics, const char *route)
{
	struct histogram **at = &metrics->histograms;

	for (; *at; at = &(*at)->following)
		if (text_equal((*at)->route, route))
			return *at;
	*at = memory_new(sizeof(**at));
	(*at)->route = route;
	return *at;
}

void metrics_count_request(struct metrics *metrics, const char *method, const char *route,
	int status, int64_t duration_us)
{
	struct histogram *histogram = find_histogram(metrics, route);
	size_t i = 0;

	while (i < countof(bounds_us) && duration_us > bounds_us[i])
		i++;
	histogram->counts[i]++;
	histogram->sum_us += duration_us;
	find_series(metrics, method, route, status)->count++;
}

void metrics_count(struct metrics *metrics, const char *name, const char *about, const char *label,
	const char *value)
{
	struct counter **at = &metrics->counters, **last_of_name = NULL;

	for (; *at; at = &(*at)->following) {
		if (!text_equal((*at)->name, name))
			continue;
		last_of_name = &(*at)->following;
		if (text_equal((*at)->label, label) && text_equal((*at)->value, value))
			break;
	}
	if (!*at) {
		struct counter *counter = memory_new(sizeof(*counter));

		/* Lines of one name must stand together. */
		at = last_of_name ? last_of_name : at;
		*counter = (struct counter){name, about, label, value, 0, *at};
		*at = counter;
	}
	(*at)->count++;
}

static void write_head(struct buf *out, const char *name, const char *about, const char *type)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, about, name, type);
}

static void write_requests(const struct metrics *metrics, struct buf *out)
{
	write_head(out, "http_requests_total", "Requests answered.", "counter");
	for (const struct series *each = metrics->series; each; each = each->following)
		buf_printf(out,
			"http_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"} %lld\n",
			each->method, each->route, each->status, (long long)each->count);
}

static void write_histograms(const struct metrics *metrics, struct buf *out)
{
	static const char name[] = "http_request_duration_seconds";

	write_head(out, name, "Time from the request's head to the end of its answer.",
		"histogram");
	for (const struct histogram *each = metrics->histograms; each; each = each->following) {
		int64_t total = 0;

		for (size_t i = 0; i < countof(bounds_us); i++) {
			total += each->counts[i];
			buf_printf(out, "%s_bucket{route=\"%s\",le=\"%g\"} %lld\n", name,
				each->route, (double)bounds_us[i] / 1e6, (long long)total);
		}
		total += each->counts[countof(bounds_us)];
		buf_printf(out,
			"%s_bucket{route=\"%s\",le=\"+Inf\"} %lld\n"
			"%s_sum{route=\"%s\"} %.6f\n%s_count{route=\"%s\"} %lld\n",
			name, each->route, (long long)total, name, each->route,
			(double)each->sum_us / 1e6, name, each->route, (long long)total);
	}
}

static void write_counters(const struct metrics *metrics, struct buf *out)
{
	const char *previous = NULL;

	for (const struct counter *each = metrics->counters; each; each = each->following) {
		if (!previous || !text_equal(previous, each->name))
			write_head(out, each->name, each->about, "counter");
		previous = each->name;
		if (each->label)
			buf_printf(out, "%s{%s=\"%s\"} %lld\n", each->name, each->label,
				each->value, (long long)each->count);
		else
			buf_printf(out, "%s %lld\n", each->name, (long long)each->count);
	}
}

static long long resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long size = 0, resident = 0;

	if (file) {
		if (fscanf(file, "%lld %lld", &size, &resident) != 2)
			resident = 0;
		(void)fclose(file);
	}
	return resident * sysconf(_SC_PAGESIZE);
}

static void write_process(const struct metrics *metrics, struct buf *out)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	write_head(out, "process_start_time_seconds", "When this task started.", "gauge");
	buf_printf(out, "process_start_time_seconds %.3f\n", metrics->started_s);
	write_head(out, "process_resident_memory_bytes", "Memory in use.", "gauge");
	buf_printf(out, "process_resident_memory_bytes %lld\n", resident_bytes());
	write_head(out, "process_cpu_seconds_total", "CPU time used.", "counter");
	buf_printf(out, "process_cpu_seconds_total %.3f\n",
		(double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

void metrics_write(const struct metrics *metrics, size_t open_requests, bool ready, struct buf *out)
{
	write_head(out, "service_ready", "1 while the service takes new requests.", "gauge");
	buf_printf(out, "service_ready{service=\"%s\"} %d\n", metrics->service, ready);
	write_head(out, "http_requests_open", "Requests in flight.", "gauge");
	buf_printf(out, "http_requests_open %zu\n", open_requests);
	write_requests(metrics, out);
	write_histograms(metrics, out);
	write_counters(metrics, out);
	write_process(metrics, out);
}
