#include "base/json.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/reads_file.h"
#include "pipeline/engine/run.h"

/* What the build left in reads.json, as a JSON array; "" when nothing is known. Owned. */
static char *read_files(const struct run_service *service)
{
	scoped(text_free) char *output = path_join(service->folder, step_kind_name(STEP_BUILD));
	scoped(text_free) char *unknown = NULL;
	scoped(strings_free) struct strings files = {0};
	scoped(buf_free) struct buf text = {0};

	reads_file_read(output, &files, &unknown);
	if (unknown)
		return memory_copy_text("");
	struct json_writer w = json_writer_start(&text);

	json_array_begin(&w);
	for (size_t i = 0; i < files.count; i++)
		json_write_text(&w, files.items[i]);
	json_array_end(&w);
	return buf_take(&text);
}

bool reads_record(struct run *run, struct run_service *service, struct error *err)
{
	struct ledger *ledger = run->options->ledger;
	scoped(json_free) struct json *parts = NULL;
	scoped(key_free) struct key key = {0};
	scoped(text_free) char *files = NULL;
	char rest[DIGEST_HEX_SIZE] = "";

	if (!service->service->uses.count)
		return true;
	if (!ledger_key_get(ledger, service->work.key, &parts, err) ||
		(parts && !key_of_json(parts, &key, err)))
		return false;
	files = parts ? read_files(service) : memory_copy_text("");
	if (parts)
		key_rest(&key, rest);
	const struct ledger_reads reads = {service->work.key, rest, files};

	return ledger_reads_save(ledger, run->row.app, service->work.service, &reads, err);
}
