#include "tests/test.h"

#include "base/http_relay.h"
#include "base/memory.h"

#include <stdlib.h>

TEST(the_last_byte_is_held_back_until_the_end_is_known)
{
	struct http_relay relay = {0};
	char got[16] = {0};

	CHECK_INT(http_relay_take(&relay, got, sizeof(got)), 0);
	http_relay_put(&relay, "hello", 5);
	CHECK_INT(http_relay_ready(&relay), 4);
	CHECK_INT(http_relay_take(&relay, got, sizeof(got)), 4);
	CHECK_INT(http_relay_take(&relay, got, sizeof(got)), 0);
	relay.end = RELAY_WHOLE;
	CHECK_INT(http_relay_take(&relay, got, sizeof(got)), 1);
	CHECK_INT(got[0], 'o');
	http_relay_free(&relay);
}

TEST(nothing_more_comes_out_of_a_broken_one)
{
	struct http_relay relay = {0};
	char got[16];

	http_relay_put(&relay, "hello", 5);
	relay.end = RELAY_BROKEN;
	CHECK_INT(http_relay_ready(&relay), 0);
	CHECK_INT(http_relay_take(&relay, got, sizeof(got)), 0);
	http_relay_free(&relay);
}

/* Pieces of odd sizes go around the ring several times and come out as they went in. */
TEST(bytes_come_out_as_they_went_in)
{
	enum { TOTAL = 5 * HTTP_RELAY_ROOM + 7, IN = 16384, OUT = 9973 };
	struct http_relay relay = {0};
	char *piece = memory_new(IN), *got = memory_new(OUT);
	size_t put = 0, taken = 0;
	bool same = true;

	while (taken < TOTAL) {
		size_t size = TOTAL - put < IN ? TOTAL - put : IN;

		if (size > 0 && size <= http_relay_free_room(&relay)) {
			for (size_t i = 0; i < size; i++)
				piece[i] = (char)((put + i) % 251);
			http_relay_put(&relay, piece, size);
			put += size;
			if (put == TOTAL)
				relay.end = RELAY_WHOLE;
			continue;
		}
		size = http_relay_take(&relay, got, OUT);
		REQUIRE(size > 0);
		for (size_t i = 0; i < size; i++)
			same = same && got[i] == (char)((taken + i) % 251);
		taken += size;
	}
	CHECK(same);
	CHECK_INT(http_relay_free_room(&relay), HTTP_RELAY_ROOM);
	free(piece);
	free(got);
	http_relay_free(&relay);
}

TEST_MAIN()
