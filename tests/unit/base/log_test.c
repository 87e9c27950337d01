#include "tests/test.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"

#include <unistd.h>

/* What the log wrote into the pipe since the last call. */
static void read_log(int fd, char *out, size_t size)
{
	ssize_t got = read(fd, out, size - 1);

	out[got > 0 ? got : 0] = '\0';
}

TEST(plain_lines_are_for_people)
{
	char text[512];
	int ends[2];

	REQUIRE(pipe(ends) == 0);
	log_setup(LOG_PLAIN, LOG_INFO, ends[1]);
	log_write(LOG_INFO, "listening", "port", "8080", NULL);
	read_log(ends[0], text, sizeof(text));
	CHECK_TEXT(text, "listening port=8080\n");
	log_write(LOG_WARNING, "odd", "path", "a b", "why", "x\ny", NULL);
	read_log(ends[0], text, sizeof(text));
	CHECK_TEXT(text, "warning: odd path=\"a b\" why=x\\ny\n");
	log_write(LOG_DEBUG, "not said", NULL);
	log_write(LOG_INFO, "two\nlines", NULL);
	read_log(ends[0], text, sizeof(text));
	CHECK_TEXT(text, "two\\nlines\n");
	close(ends[0]);
	close(ends[1]);
}

TEST(traces_are_off_until_asked_for)
{
	char text[512];
	int ends[2];

	REQUIRE(pipe(ends) == 0);
	log_setup(LOG_PLAIN, LOG_INFO, ends[1]);
	log_trace("ecs", "not said");
	log_trace_enable("registry, ecs");
	CHECK(log_traces("registry") && !log_traces("aws"));
	log_trace("ecs", "task %d", 3);
	read_log(ends[0], text, sizeof(text));
	CHECK_CONTAINS(text, "Z ecs: task 3\n");
	CHECK(!strstr(text, "not said"));
	log_trace_enable("all");
	CHECK(log_traces("aws"));
	close(ends[0]);
	close(ends[1]);
}

TEST(json_lines_are_one_object_each_with_the_fields_of_the_process)
{
	scoped(error_free) struct error err = {0};
	struct json *line = NULL;
	char text[512];
	int ends[2];

	REQUIRE(pipe(ends) == 0);
	log_setup(LOG_JSON, LOG_INFO, ends[1]);
	log_set_field("service", "users");
	log_set_field("service", "rooms");
	log_write(LOG_ERROR, "said \"no\"\n", "code", "7", NULL);
	read_log(ends[0], text, sizeof(text));
	REQUIRE_OK(json_parse(str_of(text), "log line", NULL, &line, &err));
	CHECK_TEXT(json_text(json_get(line, "level"), ""), "error");
	CHECK_TEXT(json_text(json_get(line, "message"), ""), "said \"no\"\n");
	CHECK_TEXT(json_text(json_get(line, "service"), ""), "rooms");
	CHECK_TEXT(json_text(json_get(line, "code"), ""), "7");
	CHECK(json_text(json_get(line, "time"), NULL) != NULL);
	json_free(&line);
	close(ends[0]);
	close(ends[1]);
}

TEST_MAIN()
