#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t read_ms(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_now(void *self)
{
	(void)self;
	return read_ms(CLOCK_REALTIME);
}

static int64_t system_elapsed(void *self)
{
	(void)self;
	return read_ms(CLOCK_MONOTONIC);
}

static void system_sleep(void *self, int64_t duration_ms)
{
	struct timespec left = {duration_ms / 1000, duration_ms % 1000 * 1000000};

	(void)self;
	while (duration_ms > 0 && nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

struct clock system_clock = {system_now, system_elapsed, system_sleep, NULL};

static int64_t test_now(void *self)
{
	return ((struct test_clock *)self)->time_ms;
}

static void test_sleep(void *self, int64_t duration_ms)
{
	((struct test_clock *)self)->time_ms += duration_ms;
}

void test_clock_init(struct test_clock *test, int64_t start_ms)
{
	test->clock = (struct clock){test_now, test_now, test_sleep, test};
	test->time_ms = start_ms;
}

int64_t clock_now(struct clock *clock)
{
	return clock->now_ms(clock->self);
}

int64_t clock_elapsed(struct clock *clock)
{
	return clock->elapsed_ms(clock->self);
}

void clock_sleep(struct clock *clock, int64_t duration_ms)
{
	clock->sleep_ms(clock->self, duration_ms);
}

/* Years 0001 to 9999, the range that all three spellings can say. */
static const int64_t earliest_ms = -62135596800000, latest_ms = 253402300799999;

static struct tm split(int64_t time_ms, int *out_ms)
{
	struct tm parts = {0};

	if (time_ms < earliest_ms)
		time_ms = earliest_ms;
	if (time_ms > latest_ms)
		time_ms = latest_ms;
	int ms = (int)((time_ms % 1000 + 1000) % 1000);
	time_t seconds = (time_t)((time_ms - ms) / 1000);

	gmtime_r(&seconds, &parts);
	*out_ms = ms;
	return parts;
}

void time_to_rfc3339(int64_t time_ms, char out[TIME_TEXT_SIZE])
{
	int ms;
	struct tm t = split(time_ms, &ms);

	/* Not strftime: glibc's %Y does not pad, and RFC 3339 wants four digits. The remainders only
	 * tell the compiler how wide the numbers can be. */
	snprintf(out, TIME_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		(t.tm_year + 1900) % 10000u, (t.tm_mon + 1) % 100u, t.tm_mday % 100u,
		t.tm_hour % 100u, t.tm_min % 100u, t.tm_sec % 100u, ms % 1000u);
}

void time_to_basic(int64_t time_ms, char out[TIME_TEXT_SIZE])
{
	int ms;
	struct tm t = split(time_ms, &ms);

	snprintf(out, TIME_TEXT_SIZE, "%04u%02u%02uT%02u%02u%02uZ", (t.tm_year + 1900) % 10000u,
		(t.tm_mon + 1) % 100u, t.tm_mday % 100u, t.tm_hour % 100u, t.tm_min % 100u,
		t.tm_sec % 100u);
}

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Not strftime: HTTP wants English names whatever the locale. */
void time_to_http(int64_t time_ms, char out[TIME_TEXT_SIZE])
{
	int ms;
	struct tm t = split(time_ms, &ms);

	snprintf(out, TIME_TEXT_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
		day_names + 3 * t.tm_wday, t.tm_mday % 100u, month_names + 3 * t.tm_mon,
		(t.tm_year + 1900) % 10000u, t.tm_hour % 100u, t.tm_min % 100u, t.tm_sec % 100u);
}

/* Takes exactly count digits off the front. */
static bool take_digits(struct str *rest, size_t count, int *out_value)
{
	int value = 0;

	if (rest->size < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (rest->data[i] < '0' || rest->data[i] > '9')
			return false;
		value = value * 10 + (rest->data[i] - '0');
	}
	*rest = (struct str){rest->data + count, rest->size - count};
	*out_value = value;
	return true;
}

static bool take_char(struct str *rest, const char *one_of)
{
	if (!rest->size || !rest->data[0] || !strchr(one_of, rest->data[0]))
		return false;
	*rest = (struct str){rest->data + 1, rest->size - 1};
	return true;
}

static bool take_text(struct str *rest, const char *text)
{
	size_t size = strlen(text);

	if (!str_starts_with(*rest, text))
		return false;
	*rest = (struct str){rest->data + size, rest->size - size};
	return true;
}

/* Checks the ranges (a leap second counts as the second before it) and the day of the month. */
static bool join(int year, int month, int day, int hour, int minute, int second, int64_t *out_ms)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > days[month - 1] + (month == 2 && leap) || hour > 23 || minute > 59 ||
		second > 60)
		return false;
	struct tm t = {.tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_sec = second == 60 ? 59 : second};

	*out_ms = (int64_t)timegm(&t) * 1000;
	return true;
}

/* ".123456" after the seconds: digits beyond the millisecond are cut off. */
static bool take_fraction(struct str *rest, int *out_ms)
{
	int scale = 100, digit;

	*out_ms = 0;
	if (!take_char(rest, "."))
		return true;
	if (!take_digits(rest, 1, &digit))
		return false;
	do {
		*out_ms += digit * scale;
		scale /= 10;
	} while (take_digits(rest, 1, &digit));
	return true;
}

static bool take_zone(struct str *rest, int64_t *out_offset_ms)
{
	int hours, minutes;

	*out_offset_ms = 0;
	if (take_char(rest, "Zz"))
		return true;
	bool west = rest->size && rest->data[0] == '-';

	if (!take_char(rest, "+-") || !take_digits(rest, 2, &hours) || !take_char(rest, ":") ||
		!take_digits(rest, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*out_offset_ms = (hours * 60 + minutes) * 60000LL * (west ? -1 : 1);
	return true;
}

bool time_of_rfc3339(struct str text, int64_t *out_time_ms)
{
	int year, month, day, hour, minute, second, ms;
	int64_t base, offset;

	if (!take_digits(&text, 4, &year) || !take_char(&text, "-") ||
		!take_digits(&text, 2, &month) || !take_char(&text, "-") ||
		!take_digits(&text, 2, &day) || !take_char(&text, "Tt ") ||
		!take_digits(&text, 2, &hour) || !take_char(&text, ":") ||
		!take_digits(&text, 2, &minute) || !take_char(&text, ":") ||
		!take_digits(&text, 2, &second) || !take_fraction(&text, &ms) ||
		!take_zone(&text, &offset) || text.size ||
		!join(year, month, day, hour, minute, second, &base))
		return false;
	*out_time_ms = base + ms - offset;
	return true;
}

bool time_of_basic(struct str text, int64_t *out_time_ms)
{
	int year, month, day, hour, minute, second;

	return take_digits(&text, 4, &year) && take_digits(&text, 2, &month) &&
	       take_digits(&text, 2, &day) && take_char(&text, "T") &&
	       take_digits(&text, 2, &hour) && take_digits(&text, 2, &minute) &&
	       take_digits(&text, 2, &second) && take_char(&text, "Z") && !text.size &&
	       join(year, month, day, hour, minute, second, out_time_ms);
}

static bool take_name(struct str *rest, const char *names, size_t count, int *out_index)
{
	for (size_t i = 0; rest->size >= 3 && i < count; i++) {
		if (memcmp(rest->data, names + 3 * i, 3) != 0)
			continue;
		*rest = (struct str){rest->data + 3, rest->size - 3};
		*out_index = (int)i;
		return true;
	}
	return false;
}

/* Only the form that RFC 9110 lets be sent (IMF-fixdate); no peer of ours sends the obsolete two. */
bool time_of_http(struct str text, int64_t *out_time_ms)
{
	int weekday, day, month, year, hour, minute, second;

	return take_name(&text, day_names, 7, &weekday) && take_text(&text, ", ") &&
	       take_digits(&text, 2, &day) && take_char(&text, " ") &&
	       take_name(&text, month_names, 12, &month) && take_char(&text, " ") &&
	       take_digits(&text, 4, &year) && take_char(&text, " ") &&
	       take_digits(&text, 2, &hour) && take_char(&text, ":") &&
	       take_digits(&text, 2, &minute) && take_char(&text, ":") &&
	       take_digits(&text, 2, &second) && take_text(&text, " GMT") && !text.size &&
	       join(year, month + 1, day, hour, minute, second, out_time_ms);
}

bool duration_parse(struct str text, int64_t *out_duration_ms)
{
	static const struct {
		const char *suffix;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	int64_t number;

	for (size_t i = 0; i < countof(units); i++) {
		if (!str_ends_with(text, units[i].suffix))
			continue;
		text.size -= strlen(units[i].suffix);
		return text.size && text.data[0] != '-' && str_to_int(text, &number) &&
		       !__builtin_mul_overflow(number, units[i].ms, out_duration_ms);
	}
	return false;
}

/* A second unit only where it says something: "3 min 20 s", but "3 min". */
static void two_units(int64_t large, const char *large_name, int64_t small, const char *small_name,
	char out[TIME_TEXT_SIZE])
{
	if (small)
		snprintf(out, TIME_TEXT_SIZE, "%lld %s %lld %s", (long long)large, large_name,
			(long long)small, small_name);
	else
		snprintf(out, TIME_TEXT_SIZE, "%lld %s", (long long)large, large_name);
}

void duration_to_text(int64_t duration_ms, char out[TIME_TEXT_SIZE])
{
	int64_t seconds = (duration_ms + 500) / 1000, minutes = seconds / 60, hours = minutes / 60;

	if (duration_ms < 1000)
		snprintf(out, TIME_TEXT_SIZE, "%lld ms", (long long)duration_ms);
	else if (duration_ms < 59950)
		snprintf(out, TIME_TEXT_SIZE, "%lld.%lld s", (long long)((duration_ms + 50) / 1000),
			(long long)((duration_ms + 50) % 1000 / 100));
	else if (minutes < 60)
		two_units(minutes, "min", seconds % 60, "s", out);
	else if (hours < 24)
		two_units(hours, "h", minutes % 60, "min", out);
	else
		two_units(hours / 24, "d", hours % 24, "h", out);
}
