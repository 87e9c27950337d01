/*
 * rows.h - what the files of this folder share when they read and write rows.
 */
#ifndef PIPELINE_LEDGER_ROWS_H
#define PIPELINE_LEDGER_ROWS_H

#include "base/db.h"

/* Columns are NOT NULL: a text that is not known is "". */
struct db_value row_text(const char *value);
struct db_value row_now(void);
/* A column's text; the caller's. */
char *row_column(struct db_rows *rows, int number);

/*
 * Reads every row that is left into a list that grows.
 *
 * read   fills one item, all-zero before, from the current row; when it fails the item counts, so
 *        that whoever frees the list frees what there is of it
 * items  address of the list's pointer to its items; item_size each
 */
bool rows_read(struct db_rows *rows,
	bool (*read)(struct db_rows *rows, void *item, struct error *err), size_t item_size,
	void *items, size_t *count, struct error *err) must_use;

#endif
