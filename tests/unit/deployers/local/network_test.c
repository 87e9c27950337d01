#include "tests/test.h"

#include "deployers/local/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool may(void)
{
	return geteuid() == 0;
}

/* A network of a state folder that nobody else has: the pid is in its name. */
struct scene {
	struct cloud cloud;
	struct network *network;
	char state[64];
};

static void scene_free(struct scene *scene)
{
	struct error err = {0};

	network_close(&scene->network);
	CHECK_OK(network_remove(scene->state, &err));
}

static bool open_scene(struct scene *scene, struct error *err)
{
	snprintf(scene->state, sizeof(scene->state), "/nowhere/network-test-%d", (int)getpid());
	scene->cloud.state = scene->state;
	return network_open(&scene->cloud, &scene->network, err);
}

/* In a child inside the place's namespace: answers one connection with "hello". */
static pid_t serve(const struct network_place *place, int ready)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(80)};

	if (setns(place->namespace_fd, CLONE_NEWNET) < 0)
		_exit(1);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 1) < 0 ||
		write(ready, "r", 1) != 1)
		_exit(2);
	int connection = accept(listener, NULL, NULL);

	_exit(write(connection, "hello", 5) == 5 ? 0 : 3);
}

TEST(a_task_is_reached_at_its_own_address)
{
	if (!may())
		SKIP("making networks needs root");
	scoped(scene_free) struct scene scene = {0};
	struct network_place place = {0};
	struct error err = {0};
	int ready[2], status;
	char text[8] = {0};

	REQUIRE_OK(open_scene(&scene, &err));
	REQUIRE_OK(network_join(scene.network, &place, &err));
	REQUIRE(pipe(ready) == 0);
	pid_t child = serve(&place, ready[1]);

	REQUIRE(read(ready[0], text, 1) == 1);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};

	REQUIRE(inet_pton(AF_INET, place.ip, &to.sin_addr) == 1);
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(connect(connection, (struct sockaddr *)&to, sizeof(to)) == 0);
	CHECK(recv(connection, text, 5, MSG_WAITALL) == 5);
	CHECK_TEXT(text, "hello");
	close(connection);
	waitpid(child, &status, 0);
	CHECK_INT(status, 0);
	close(ready[0]);
	close(ready[1]);
	network_leave(scene.network, &place);
}

TEST(addresses_differ_and_come_again_late)
{
	if (!may())
		SKIP("making networks needs root");
	scoped(scene_free) struct scene scene = {0};
	struct network_place first = {0}, second = {0}, third = {0};
	struct error err = {0};

	REQUIRE_OK(open_scene(&scene, &err));
	REQUIRE_OK(network_join(scene.network, &first, &err));
	REQUIRE_OK(network_join(scene.network, &second, &err));
	CHECK(strcmp(first.ip, second.ip) != 0);
	char freed[NETWORK_ADDRESS_SIZE];

	memcpy(freed, first.ip, sizeof(freed));
	network_leave(scene.network, &first);
	REQUIRE_OK(network_join(scene.network, &third, &err));
	CHECK(strcmp(third.ip, freed) != 0);
	network_leave(scene.network, &second);
	network_leave(scene.network, &third);
}

/* The hardware address that a neighbour has for an IP address: what a task there answers with. */
static void read_hardware_address(const struct network_place *place, char out[18])
{
	pid_t child;
	int pipes[2], status;

	if (pipe(pipes) < 0)
		return;
	child = fork();
	if (child == 0) {
		int fd = -1;
		char text[18];

		/* sysfs shows the namespace of who mounts it. */
		if (setns(place->namespace_fd, CLONE_NEWNET) == 0 && unshare(CLONE_NEWNS) == 0 &&
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			mount("sysfs", "/sys", "sysfs", 0, NULL) == 0)
			fd = open("/sys/class/net/eth0/address", O_RDONLY | O_CLOEXEC);
		_exit(fd >= 0 && read(fd, text, 17) == 17 && write(pipes[1], text, 17) == 17 ? 0
											     : 1);
	}
	waitpid(child, &status, 0);
	CHECK_INT(status, 0);
	close(pipes[1]);
	out[0] = '\0';
	if (status == 0 && read(pipes[0], out, 17) == 17)
		out[17] = '\0';
	close(pipes[0]);
}

TEST(an_address_keeps_its_hardware_address)
{
	if (!may())
		SKIP("making networks needs root");
	scoped(scene_free) struct scene scene = {0};
	struct network_place place = {0};
	struct error err = {0};
	unsigned a, b, c, d;
	char expected[18], got[18];

	REQUIRE_OK(open_scene(&scene, &err));
	REQUIRE_OK(network_join(scene.network, &place, &err));
	REQUIRE(sscanf(place.ip, "%u.%u.%u.%u", &a, &b, &c, &d) == 4);
	snprintf(expected, sizeof(expected), "02:64:%02x:%02x:%02x:%02x", a & 255, b & 255, c & 255,
		d & 255);
	read_hardware_address(&place, got);
	CHECK_TEXT(got, expected);
	network_leave(scene.network, &place);
}

TEST(an_adopted_address_is_not_given_out)
{
	if (!may())
		SKIP("making networks needs root");
	scoped(scene_free) struct scene scene = {0};
	struct network_place old = {0}, fresh = {0};
	struct error err = {0};
	char gateway[NETWORK_ADDRESS_SIZE], ip[NETWORK_ADDRESS_SIZE + 4];

	REQUIRE_OK(open_scene(&scene, &err));
	snprintf(gateway, sizeof(gateway), "%s", network_gateway(scene.network));
	/* x.y.z.1 is the bridge's; .2 would be the first to be given out */
	snprintf(ip, sizeof(ip), "%.*s.2", (int)(strrchr(gateway, '.') - gateway), gateway);
	network_adopt(scene.network, ip, getpid(), &old);
	REQUIRE_OK(network_join(scene.network, &fresh, &err));
	CHECK(strcmp(fresh.ip, ip) != 0);
	network_leave(scene.network, &fresh);
	network_leave(scene.network, &old);
	/* The same state folder finds its network again. */
	network_close(&scene.network);
	REQUIRE_OK(open_scene(&scene, &err));
	CHECK_TEXT(network_gateway(scene.network), gateway);
}

TEST_MAIN()
