#include "pipeline/ledger/rows.h"

#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

enum { FIRST_ROOM = 16 };

struct db_value row_text(const char *value)
{
	return db_of_text(value ? value : "");
}

struct db_value row_now(void)
{
	return db_of_int(clock_now(&system_clock));
}

char *row_column(struct db_rows *rows, int number)
{
	return str_copy(db_str(rows, number));
}

bool rows_read(struct db_rows *rows,
	bool (*read)(struct db_rows *rows, void *item, struct error *err), size_t item_size,
	void *items, size_t *count, struct error *err)
{
	size_t room = *count;
	bool more = false;
	char *list;

	memcpy(&list, items, sizeof(list));
	for (;;) {
		if (!db_next(rows, &more, err))
			return false;
		if (!more)
			return true;
		if (*count == room) {
			room = room ? room * 2 : FIRST_ROOM;
			list = memory_resize(list, room * item_size);
			memcpy(items, &list, sizeof(list));
		}
		char *item = list + (*count)++ * item_size;

		memset(item, 0, item_size);
		if (!read(rows, item, err))
			return false;
	}
}
