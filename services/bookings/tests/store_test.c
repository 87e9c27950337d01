#include "tests/test.h"

#include "base/memory.h"
#include "services/bookings/store.h"

/* A database in memory; times are small numbers here, for reading. */
static struct db *open_store(void)
{
	struct db *db = NULL;
	struct error err = {0};

	if (!bookings_open("sqlite::memory:", &db, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	return db;
}

static const char *const result_names[] = {
	[BOOK_MADE] = "made",
	[BOOK_TAKEN] = "taken",
	[BOOK_REPLAYED] = "replayed",
	[BOOK_OTHER_REQUEST] = "other request",
};

/* Books, and says what came of it; the id of the booking is in a static buffer. */
static char last_id[BOOKING_ID_SIZE];

static const char *book(struct db *db, const char *room, int64_t starts, int64_t ends,
	const char *key)
{
	scoped(booking_free) struct booking booking = {.room = memory_copy_text(room),
		.starts_ms = starts,
		.ends_ms = ends,
		.title = memory_copy_text(""),
		.booked_by = memory_copy_text("")};
	struct error err = {0};
	enum book_result result = BOOK_TAKEN, look = BOOK_TAKEN;

	/* Looking says the same as booking, on a copy that it may replace. */
	scoped(booking_free) struct booking copy = {.room = memory_copy_text(room),
		.starts_ms = starts,
		.ends_ms = ends,
		.title = memory_copy_text(""),
		.booked_by = memory_copy_text("")};
	if (!bookings_look(db, &copy, key, &look, &err) ||
		!bookings_book(db, &booking, key, 1000, &result, &err)) {
		TEST_FAIL("booking failed: %s", err.message);
		error_free(&err);
		return "";
	}
	CHECK_TEXT(result_names[look], result_names[result]);
	memcpy(last_id, booking.id, sizeof(last_id));
	return result_names[result];
}

TEST(bookings_of_one_room_never_overlap)
{
	scoped(db_close) struct db *db = open_store();

	CHECK_TEXT(book(db, "r1", 100, 200, NULL), "made");
	CHECK_TEXT(book(db, "r1", 100, 200, NULL), "taken");
	CHECK_TEXT(book(db, "r1", 150, 160, NULL), "taken"); /* inside */
	CHECK_TEXT(book(db, "r1", 50, 300, NULL), "taken");  /* around */
	CHECK_TEXT(book(db, "r1", 50, 101, NULL), "taken");  /* over the start */
	CHECK_TEXT(book(db, "r1", 199, 300, NULL), "taken"); /* over the end */
	CHECK_TEXT(book(db, "r1", 200, 300, NULL), "made");  /* from the end on */
	CHECK_TEXT(book(db, "r1", 50, 100, NULL), "made");   /* up to the start */
	CHECK_TEXT(book(db, "r2", 100, 200, NULL), "made");  /* another room */
	CHECK_TEXT(book(db, "r1", 99, 100, NULL), "taken");
}

/* Compares with a table of minutes, for some thousand bookings that are made and cancelled. */
TEST(what_is_free_is_what_no_standing_booking_holds)
{
	enum { MINUTES = 200, COUNT = 3000 };
	scoped(db_close) struct db *db = open_store();
	char held[MINUTES] = {0};
	char ids[COUNT][BOOKING_ID_SIZE];
	int starts_of[COUNT], ends_of[COUNT], made = 0;
	struct error err = {0};
	unsigned random = 7;

	for (int i = 0; i < COUNT; i++) {
		random = random * 1103515245 + 12345;
		int starts = (int)(random >> 16) % (MINUTES - 10), ends = starts + 1 + i % 9;
		bool is_free = memchr(held + starts, 1, (size_t)(ends - starts)) == NULL;

		CHECK_TEXT(book(db, "r", starts, ends, NULL), is_free ? "made" : "taken");
		if (is_free) {
			memset(held + starts, 1, (size_t)(ends - starts));
			memcpy(ids[made], last_id, sizeof(last_id));
			starts_of[made] = starts;
			ends_of[made++] = ends;
		}
		if (i % 3 == 0 && made > 0) {
			bool found;
			int gone = (int)(random >> 8) % made;

			REQUIRE_OK(bookings_cancel(db, ids[gone], 2000, &found, &err));
			memset(held + starts_of[gone], 0,
				(size_t)(ends_of[gone] - starts_of[gone]));
			made--;
			memcpy(ids[gone], ids[made], sizeof(ids[gone]));
			starts_of[gone] = starts_of[made];
			ends_of[gone] = ends_of[made];
		}
	}
}

TEST(a_request_made_again_with_its_key_gets_its_booking)
{
	scoped(db_close) struct db *db = open_store();
	char first[BOOKING_ID_SIZE];
	struct error err = {0};

	CHECK_TEXT(book(db, "r1", 100, 200, "key"), "made");
	memcpy(first, last_id, sizeof(first));
	CHECK_TEXT(book(db, "r1", 100, 200, "key"), "replayed");
	CHECK_TEXT(last_id, first);
	CHECK_TEXT(book(db, "r1", 100, 200, "another"), "taken");
	CHECK_TEXT(book(db, "r1", 300, 400, "key"), "other request");
	/* A key that was refused is not used up. */
	CHECK_TEXT(book(db, "r1", 200, 300, "another"), "made");
	REQUIRE_OK(bookings_forget_keys(db, 1001, &err));
	CHECK_TEXT(book(db, "r1", 100, 200, "key"), "taken");
}

TEST(a_cancelled_booking_frees_its_time_once)
{
	scoped(db_close) struct db *db = open_store();
	scoped(booking_free) struct booking booking = {0};
	struct error err = {0};
	bool found = false;

	book(db, "r1", 100, 200, NULL);
	char id[BOOKING_ID_SIZE];
	memcpy(id, last_id, sizeof(id));
	REQUIRE_OK(bookings_cancel(db, id, 2000, &found, &err));
	CHECK(found);
	REQUIRE_OK(bookings_cancel(db, id, 3000, &found, &err));
	CHECK(found);
	REQUIRE_OK(bookings_get(db, id, &booking, &found, &err));
	CHECK_INT(booking.cancelled_ms, 2000);
	CHECK_TEXT(book(db, "r1", 100, 200, NULL), "made");
	REQUIRE_OK(bookings_cancel(db, "nobody", 2000, &found, &err));
	CHECK(!found);
}

/* The starts found, joined by ','; '+' when there are more. */
static const char *search(struct db *db, struct booking_search search)
{
	static char text[200];
	scoped(booking_list_free) struct booking_list list = {0};
	struct error err = {0};
	size_t size = 0;

	text[0] = '\0';
	if (!bookings_search(db, &search, &list, &err)) {
		TEST_FAIL("search failed: %s", err.message);
		error_free(&err);
	}
	for (size_t i = 0; i < list.count; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s:%lld",
			i ? "," : "", list.bookings[i].room, (long long)list.bookings[i].starts_ms);
	snprintf(text + size, sizeof(text) - size, "%s", list.more ? "+" : "");
	return text;
}

TEST(bookings_are_found_by_room_and_time_in_pages)
{
	scoped(db_close) struct db *db = open_store();

	book(db, "a", 100, 200, NULL);
	book(db, "b", 150, 400, NULL);
	book(db, "a", 200, 300, NULL);
	book(db, "a", 300, 400, NULL);
	CHECK_TEXT(search(db, (struct booking_search){.to_ms = 1000, .limit = 9}),
		"a:100,b:150,a:200,a:300");
	CHECK_TEXT(search(db, (struct booking_search){.room = "a", .to_ms = 1000, .limit = 9}),
		"a:100,a:200,a:300");
	CHECK_TEXT(search(db, (struct booking_search){.from_ms = 200, .to_ms = 300, .limit = 9}),
		"b:150,a:200");
	CHECK_TEXT(search(db, (struct booking_search){.to_ms = 1000, .limit = 4}),
		"a:100,b:150,a:200,a:300");
	CHECK_TEXT(search(db, (struct booking_search){.to_ms = 1000, .limit = 2}), "a:100,b:150+");
	CHECK_TEXT(search(db, (struct booking_search){.to_ms = 1000,
				      .limit = 2,
				      .after_starts_ms = 150,
				      .after_id = "g"}), /* behind any hex digit */
		"a:200,a:300");
}

TEST_MAIN()
