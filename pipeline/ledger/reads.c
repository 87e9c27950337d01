#include "pipeline/ledger/ledger.h"
#include "pipeline/ledger/rows.h"

#include <stdlib.h>

void ledger_reads_free(struct ledger_reads *reads)
{
	free(reads->key);
	free(reads->rest);
	free(reads->files);
	*reads = (struct ledger_reads){0};
}

void ledger_reads_list_free(struct ledger_reads_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		ledger_reads_free(&list->items[i]);
	free(list->items);
	*list = (struct ledger_reads_list){0};
}

bool ledger_reads_save(struct ledger *ledger, const char *app, const char *service,
	const struct ledger_reads *reads, struct error *err)
{
	struct db *db = ledger_db(ledger);

	if (!db_exec(db, "DELETE FROM reads WHERE app = $1 AND service = $2 AND key = $3",
		    db_values(row_text(app), row_text(service), row_text(reads->key)), NULL, err))
		return false;
	if (!*reads->files)
		return true;
	return db_exec(db,
		       "INSERT INTO reads (app, service, key, rest, files, created_ms)"
		       " VALUES ($1, $2, $3, $4, $5, $6)",
		       db_values(row_text(app), row_text(service), row_text(reads->key),
			       row_text(reads->rest), row_text(reads->files), row_now()),
		       NULL, err) &&
	       db_exec(db,
		       "DELETE FROM reads WHERE app = $1 AND service = $2 AND key IN ("
		       " SELECT key FROM reads WHERE app = $1 AND service = $2"
		       " ORDER BY created_ms DESC, key LIMIT -1 OFFSET 32)",
		       db_values(row_text(app), row_text(service)), NULL, err);
}

static bool read_reads(struct db_rows *rows, void *item, struct error *err)
{
	(void)err;
	*(struct ledger_reads *)item = (struct ledger_reads){
		.key = row_column(rows, 0),
		.rest = row_column(rows, 1),
		.files = row_column(rows, 2),
	};
	return true;
}

bool ledger_reads_find(struct ledger *ledger, const char *app, const char *service, const char *key,
	const char *rest, size_t limit, struct ledger_reads_list *out_list, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_reads_list_free) struct ledger_reads_list list = {0};

	if (!db_query(ledger_db(ledger),
		    key ? "SELECT key, rest, files FROM reads"
			  " WHERE app = $1 AND service = $2 AND key = $3 LIMIT $4"
			: "SELECT key, rest, files FROM reads"
			  " WHERE app = $1 AND service = $2 AND rest = $3"
			  " ORDER BY created_ms DESC LIMIT $4",
		    db_values(row_text(app), row_text(service), row_text(key ? key : rest),
			    db_of_int((int64_t)limit)),
		    &rows, err) ||
		!rows_read(&rows, read_reads, sizeof(*list.items), &list.items, &list.count, err))
		return false;
	*out_list = list;
	list = (struct ledger_reads_list){0};
	return true;
}
