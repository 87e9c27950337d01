/* schema.h - the ledger's tables, as migrations: a row here is never changed, only followed. */
#ifndef PIPELINE_LEDGER_SCHEMA_H
#define PIPELINE_LEDGER_SCHEMA_H

#include <stddef.h>

extern const char *const ledger_migrations[];
extern const size_t ledger_migration_count;

#endif
