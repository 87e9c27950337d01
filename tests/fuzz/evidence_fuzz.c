/* What lies beside images and comes from others: envelopes, bundles, statements, signatures, lists. */
#include "base/memory.h"
#include "builders/evidence/provenance.h"
#include "builders/evidence/signed_bundle.h"
#include "builders/evidence/simple_signing.h"
#include "builders/evidence/statement.h"
#include "builders/image/plain_artifact.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_statement(struct str text)
{
	scoped(statement_free) struct statement statement = {0};
	struct provenance provenance;
	struct error err = {0};

	if (statement_parse(text, "input", &statement, &err))
		provenance_read(statement.predicate, &provenance);
	error_free(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	scoped(dsse_free) struct dsse envelope = {0};
	scoped(signed_bundle_free) struct signed_bundle bundle = {0};
	scoped(signature_image_free) struct signature_image image = {0};
	scoped(provenance_facts_free) struct provenance_facts facts = {0};
	scoped(artifact_list_free) struct artifact_list list = {0};
	scoped(artifact_entry_free) struct artifact_entry entry = {0};
	scoped(text_free) char *reference = NULL;
	struct digest digest;
	struct error err = {0};

	if (dsse_parse(text, "input", &envelope, &err))
		read_statement(buf_str(&envelope.payload));
	error_free(&err);
	if (signed_bundle_parse(text, "input", &bundle, &err) && bundle.has_envelope)
		read_statement(buf_str(&bundle.envelope.payload));
	error_free(&err);
	read_statement(text);
	if (!signature_image_parse(text, "input", &image, &err))
		error_free(&err);
	if (!simple_signing_parse(text, "input", &digest, &reference, &err))
		error_free(&err);
	if (!provenance_facts_parse(text, "input", &facts, &err))
		error_free(&err);
	if (!artifact_list_parse(text, "input", &list, &err))
		error_free(&err);
	if (!artifact_parse(text, "input", &digest, &entry, &err))
		error_free(&err);
	for (size_t i = 0; i < list.count; i++) {
		scoped(artifact_entry_free) struct artifact_entry restored = {0};

		if (list.items[i].inner && !artifact_restore(&list.items[i], &restored, &err))
			abort(); /* it was read once already */
	}
	scoped(buf_free) struct buf plain = {0}, plainer = {0};
	if (plain_artifact_write(text, &plain) && plain_artifact_write(buf_str(&plain), &plainer))
		abort();
	return 0;
}
