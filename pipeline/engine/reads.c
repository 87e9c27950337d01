#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/run.h"

enum { READS_LIMIT = 4 << 20 };

/* What the build left in reads.json; "" when nothing is known. Owned. */
static char *read_files(const struct run_service *service)
{
	scoped(text_free) char *path = path_join(service->folder, "build/reads.json");
	scoped(json_free) struct json *document = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf files = {0};

	if (!json_read_file(path, READS_LIMIT, &document, &err)) {
		error_ignore(&err, "a build without it is compared by its declared inputs");
		return memory_copy_text("");
	}
	if (!json_is_array(json_get(document, "files")))
		return memory_copy_text("");
	json_write(json_get(document, "files"), &files);
	return buf_take(&files);
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
