#include "base/memory.h"
#include "buildspec/report_json.h"
#include "buildspec/report_text.h"

/*
 * Cucumber's JSON: [feature {elements: [scenario {steps, before, after: [{result}]}]}]. A scenario is a
 * case. The steps of a background stand before the scenario as an element of their own; what fails there
 * leaves the scenario's steps skipped, so its outcome is the scenario's.
 */

struct scenario {
	enum report_status status;
	int64_t duration_us;
	struct buf message, details;
};

static void scenario_free(struct scenario *scenario)
{
	buf_free(&scenario->message);
	buf_free(&scenario->details);
	*scenario = (struct scenario){0};
}

static const struct {
	const char *word;
	enum report_status status;
} words[] = {
	{"passed", REPORT_PASSED},
	{"skipped", REPORT_SKIPPED},
	{"failed", REPORT_FAILED},
	{"undefined", REPORT_ERROR},
	{"pending", REPORT_ERROR},
	{"ambiguous", REPORT_ERROR},
	{"unknown", REPORT_ERROR},
};

static void say_why(struct scenario *scenario, const struct json *step, const char *word)
{
	const char *error = json_get_text(json_get(step, "result"), "error_message", "");
	scoped(buf_free) struct buf text = {0};

	if (*error)
		buf_append_str(&text, report_first_line(str_of(error)));
	else
		buf_printf(&text, "the step \"%s\" is %s", json_get_text(step, "name", ""), word);
	report_cut(&scenario->message, buf_text(&text), REPORT_MESSAGE_BYTES);
	report_cut(&scenario->details, error, REPORT_DETAILS_BYTES);
}

static void add_step(struct scenario *scenario, const struct json *step)
{
	enum { NS_PER_US = 1000 };
	const struct json *result = json_get(step, "result");
	const char *word = json_get_text(result, "status", "passed");
	int64_t duration_ns = json_get_int(result, "duration", 0);

	if (duration_ns > 0)
		scenario->duration_us += duration_ns / NS_PER_US % INT32_MAX;
	for (size_t i = 0; i < countof(words); i++) {
		if (!text_equal(words[i].word, word) || words[i].status <= scenario->status)
			continue;
		scenario->status = words[i].status;
		if (scenario->status >= REPORT_FAILED)
			say_why(scenario, step, word);
	}
}

static void add_steps(struct scenario *scenario, const struct json *element)
{
	static const char *const lists[] = {"before", "steps", "after"};

	for (size_t l = 0; l < countof(lists); l++) {
		const struct json *list = json_get(element, lists[l]);

		for (size_t i = 0; i < json_count(list); i++)
			add_step(scenario, json_at(list, i));
	}
}

static void give(struct scenario *scenario, const struct json *feature, const struct json *element,
	const struct report_sink *sink)
{
	scoped(buf_free) struct buf suite = {0}, name = {0}, file = {0};

	report_cut(&suite, json_get_text(feature, "name", ""), REPORT_NAME_BYTES);
	report_cut(&name, json_get_text(element, "name", ""), REPORT_NAME_BYTES);
	report_cut(&file, json_get_text(feature, "uri", ""), REPORT_NAME_BYTES);
	const struct report_case found = {.status = scenario->status,
		.duration_us = scenario->duration_us,
		.suite = buf_text(&suite),
		.class_name = "",
		.name = buf_text(&name),
		.message = buf_text(&scenario->message),
		.details = buf_text(&scenario->details),
		.file = buf_text(&file),
		.line = (int)(json_get_int(element, "line", 0) % INT32_MAX)};

	sink->take_case(sink->self, &found);
}

static void read_feature(const struct json *feature, const struct report_sink *sink)
{
	scoped(scenario_free) struct scenario scenario = {0};
	const struct json *elements = json_get(feature, "elements");

	for (size_t i = 0; i < json_count(elements); i++) {
		const struct json *element = json_at(elements, i);

		add_steps(&scenario, element);
		if (text_equal(json_get_text(element, "type", "scenario"), "background"))
			continue;
		give(&scenario, feature, element, sink);
		scenario_free(&scenario);
	}
}

static bool read_document(const struct json *root, const struct report_sink *sink,
	struct error *err)
{
	if (!json_is_array(root))
		return error_raise(err, ERROR_INVALID, "expected a list of features");
	for (size_t i = 0; i < json_count(root); i++)
		read_feature(json_at(root, i), sink);
	return true;
}

const struct report_document report_cucumber = {read_document};
