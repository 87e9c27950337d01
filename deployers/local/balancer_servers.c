#include "deployers/local/balancer_internal.h"

#include "base/memory.h"

#include <stdlib.h>

enum {
	REMOVE_MS = 200,
	REMOVE_TRIES = 300,
};

void target_server_name(const struct target *target, struct buf *out)
{
	haproxy_group_name(target->group_arn, out);
	buf_append_char(out, '/');
	haproxy_server_name(target->ip, target->port, out);
}

void balancer_tell(struct balancer *balancer, const char *command)
{
	struct error err = {0};

	if (haproxy_runs(balancer->haproxy) &&
		!haproxy_command(balancer->haproxy, command, NULL, &err))
		error_ignore(&err, "its loss is noticed by the loop, and it starts from the store");
}

void removal_forget(struct balancer *balancer, const char *server)
{
	for (struct removal **link = &balancer->removals; *link; link = &(*link)->following) {
		struct removal *removal = *link;

		if (!text_equal(removal->server, server))
			continue;
		*link = removal->following;
		free(removal->server);
		free(removal);
		return;
	}
}

/* One batch: the server may be new, or known from before and in maintenance. */
void server_put_in_rotation(struct target *target)
{
	scoped(buf_free) struct buf server = {0}, options = {0};
	scoped(text_free) char *command = NULL;

	target_server_name(target, &server);
	haproxy_server_options(target_group(target), target->ip, target->port, &options);
	removal_forget(target->balancer, buf_text(&server));
	command = memory_format("add server %s %s; enable health %s; set server %s health up; set "
				"server %s state ready",
		buf_text(&server), buf_text(&options), buf_text(&server), buf_text(&server),
		buf_text(&server));
	balancer_tell(target->balancer, command);
}

void server_set_state(struct target *target, const char *state)
{
	scoped(buf_free) struct buf server = {0};
	scoped(text_free) char *command = NULL;

	target_server_name(target, &server);
	command = memory_format("set server %s state %s", buf_text(&server), state);
	balancer_tell(target->balancer, command);
}

static void remove_servers(void *context)
{
	struct balancer *balancer = context;
	struct removal **link = &balancer->removals;

	while (*link) {
		struct removal *removal = *link;
		scoped(text_free) char *command = memory_format("del server %s", removal->server);
		scoped(buf_free) struct buf answer = {0};
		bool gone = !haproxy_runs(balancer->haproxy) ||
			    !haproxy_command(balancer->haproxy, command, &answer, NULL) ||
			    strstr(buf_text(&answer), "deleted") ||
			    strstr(buf_text(&answer), "No such");

		if (!gone && ++removal->tries < REMOVE_TRIES) {
			link = &removal->following;
			continue;
		}
		*link = removal->following;
		free(removal->server);
		free(removal);
	}
	if (balancer->removals)
		watch_set_delay(balancer->removal_timer, REMOVE_MS);
	else
		loop_remove(balancer->cloud->loop, &balancer->removal_timer);
}

void server_take_out(struct target *target)
{
	struct balancer *balancer = target->balancer;
	struct removal *removal = memory_new(sizeof(*removal));
	struct buf server = {0};

	server_set_state(target, "maint");
	target_server_name(target, &server);
	removal_forget(balancer, buf_text(&server));
	removal->server = buf_take(&server);
	removal->following = balancer->removals;
	balancer->removals = removal;
	if (!balancer->removal_timer)
		balancer->removal_timer =
			loop_add_timer(balancer->cloud->loop, 0, remove_servers, balancer);
}

/* Lines of "show servers state": be_id be_name srv_id srv_name srv_addr op_state admin_state … */
void servers_adopt(struct balancer *balancer)
{
	scoped(buf_free) struct buf answer = {0};
	struct error err = {0};
	struct str rest;

	if (!haproxy_runs(balancer->haproxy) ||
		!haproxy_command(balancer->haproxy, "show servers state", &answer, &err)) {
		error_ignore(&err, "what is not adopted is found by probing");
		return;
	}
	rest = buf_str(&answer);
	while (rest.data) {
		struct str line = str_cut(&rest, '\n'), words[7] = {{0}};

		for (size_t i = 0; i < countof(words); i++)
			words[i] = str_cut(&line, ' ');
		if (!words[6].size || words[0].data[0] == '#')
			continue;
		for (struct target *target = balancer->targets; target;
			target = target->following) {
			scoped(buf_free) struct buf backend = {0}, server = {0};

			haproxy_group_name(target->group_arn, &backend);
			haproxy_server_name(target->ip, target->port, &server);
			/* In rotation: op_state 2 is up, admin_state 0 neither drain nor maint. */
			if (str_equal(words[1], buf_str(&backend)) &&
				str_equal(words[3], buf_str(&server)) &&
				str_equal_text(words[5], "2") && str_equal_text(words[6], "0")) {
				target->state = TARGET_HEALTHY;
				target->reason = NULL;
			}
		}
	}
}

void servers_drop_strangers(struct balancer *balancer)
{
	scoped(buf_free) struct buf answer = {0};
	struct str rest;

	if (!haproxy_runs(balancer->haproxy) ||
		!haproxy_command(balancer->haproxy, "show servers state", &answer, NULL))
		return;
	rest = buf_str(&answer);
	while (rest.data) {
		struct str line = str_cut(&rest, '\n'), words[4] = {{0}};
		bool known = false;

		for (size_t i = 0; i < countof(words); i++)
			words[i] = str_cut(&line, ' ');
		if (!words[3].size || words[0].data[0] == '#')
			continue;
		scoped(text_free) char *path =
			memory_format("%.*s/%.*s", str_args(words[1]), str_args(words[3]));

		for (struct target *target = balancer->targets; target;
			target = target->following) {
			scoped(buf_free) struct buf own = {0};

			target_server_name(target, &own);
			known = known || text_equal(path, buf_text(&own));
		}
		if (known)
			continue;
		scoped(text_free) char *command = memory_format("set server %s state maint", path);
		struct removal *removal = memory_new(sizeof(*removal));

		balancer_tell(balancer, command);
		removal->server = memory_copy_text(path);
		removal->following = balancer->removals;
		balancer->removals = removal;
		if (!balancer->removal_timer)
			balancer->removal_timer = loop_add_timer(balancer->cloud->loop, REMOVE_MS,
				remove_servers, balancer);
	}
}
