#include "services/bookings/booking.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>

static const int64_t longest_ms = (int64_t)31 * 24 * 3600 * 1000;

void booking_free(struct booking *booking)
{
	free(booking->room);
	free(booking->title);
	free(booking->booked_by);
	*booking = (struct booking){0};
}

/* Sets *out_why and returns false. */
static bool wrong(char **out_why, const char *why)
{
	*out_why = memory_copy_text(why);
	return false;
}

static bool is_known_key(const char *key)
{
	static const char *const keys[] = {"room_id", "starts", "ends", "title", "booked_by"};

	for (size_t i = 0; i < countof(keys); i++)
		if (text_equal(key, keys[i]))
			return true;
	return false;
}

bool booking_is_room_id(struct str text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_'))
			return false;
	}
	return text.size > 0 && text.size <= ROOM_ID_LIMIT;
}

bool booking_read_times(struct str starts, struct str ends, int64_t *out_starts_ms,
	int64_t *out_ends_ms, const char **out_why)
{
	int64_t starts_ms, ends_ms;

	*out_why = "starts must be a time such as 2026-11-20T08:00:00Z";
	if (!time_of_rfc3339(starts, &starts_ms))
		return false;
	*out_why = "ends must be a time such as 2026-11-20T09:00:00Z";
	if (!time_of_rfc3339(ends, &ends_ms))
		return false;
	*out_why = "ends must be after starts";
	if (ends_ms <= starts_ms)
		return false;
	*out_why = "there may be at most 31 days between starts and ends";
	if (ends_ms - starts_ms > longest_ms)
		return false;
	*out_starts_ms = starts_ms;
	*out_ends_ms = ends_ms;
	return true;
}

/* A text without control characters; "" when it is left out. */
static bool read_text(const struct json *value, char **out)
{
	struct str text = json_str(value);

	if (value && !json_is_text(value))
		return false;
	if (text.size > BOOKING_TEXT_LIMIT)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	*out = str_copy(text);
	return true;
}

bool booking_read(const struct json *body, int64_t now_ms, struct booking *out_booking,
	char **out_why)
{
	scoped(booking_free) struct booking booking = {0};
	struct str room = json_str(json_get(body, "room_id"));
	const char *why;

	for (json_each(member, body))
		if (!is_known_key(member.key)) {
			*out_why = memory_format("\"%.40s\" is unknown; a booking has room_id, "
						 "starts, ends, title, booked_by",
				member.key);
			return false;
		}
	if (!booking_is_room_id(room))
		return wrong(out_why, "room_id must be the id of a room");
	if (!booking_read_times(json_str(json_get(body, "starts")),
		    json_str(json_get(body, "ends")), &booking.starts_ms, &booking.ends_ms, &why))
		return wrong(out_why, why);
	if (booking.ends_ms <= now_ms)
		return wrong(out_why, "ends must not be in the past");
	if (!read_text(json_get(body, "title"), &booking.title))
		return wrong(out_why, "title must be a text of at most 200 bytes");
	if (!read_text(json_get(body, "booked_by"), &booking.booked_by))
		return wrong(out_why, "booked_by must be a text of at most 200 bytes");
	booking.room = str_copy(room);
	*out_booking = booking;
	booking = (struct booking){0};
	return true;
}

void booking_write(struct json_writer *w, const struct booking *booking)
{
	json_object_begin(w);
	json_put_text(w, "id", booking->id);
	json_put_text(w, "room_id", booking->room);
	json_put_time(w, "starts", booking->starts_ms);
	json_put_time(w, "ends", booking->ends_ms);
	json_put_text(w, "title", booking->title);
	json_put_text(w, "booked_by", booking->booked_by);
	json_put_text(w, "status", booking->cancelled_ms ? "cancelled" : "booked");
	json_put_time(w, "made_at", booking->made_ms);
	if (booking->cancelled_ms)
		json_put_time(w, "cancelled_at", booking->cancelled_ms);
	json_object_end(w);
}
