#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/layers.h"

#include <fcntl.h>
#include <sys/stat.h>

struct place {
	char *folder; /* owned */
	struct loop *loop;
	struct cloud cloud;
	struct layers *layers;
};

static void place_free(struct place *place)
{
	struct error err = {0};

	layers_close(&place->layers);
	loop_free(&place->loop);
	if (place->folder && !folder_remove(place->folder, &err))
		error_print(stderr, &err, true);
	error_free(&err);
	free(place->folder);
}

static bool place_start(struct place *place, struct error *err)
{
	if (!folder_make_temporary(NULL, "layers", &place->folder, err) ||
		!loop_new(&place->loop, err))
		return false;
	place->cloud = (struct cloud){.loop = place->loop, .state = place->folder};
	return layers_open(&place->cloud, &place->layers, err);
}

static char *layer_name(int number)
{
	return memory_format("%032d", number);
}

/* A layer with a file in a folder, used at that second. */
static void put_layer(struct place *place, int number, time_t used)
{
	scoped(text_free) char *name = layer_name(number);
	scoped(text_free) char *path = path_join(layers_folder(place->layers), name);
	scoped(text_free) char *inside = path_join(path, "usr");
	scoped(text_free) char *file = path_join(inside, "file");
	const struct timespec times[] = {{.tv_sec = used}, {.tv_nsec = UTIME_OMIT}};
	scoped(error_free) struct error err = {0};

	CHECK_OK(folder_make(inside, 0755, &err) &&
		 file_write(file, str_literal("x"), 0644, false, &err));
	CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool has_layer(struct place *place, int number)
{
	scoped(text_free) char *name = layer_name(number);
	scoped(text_free) char *path = path_join(layers_folder(place->layers), name);

	return file_exists(path);
}

static size_t names_left(struct place *place)
{
	scoped(strings_free) struct strings names = {0};
	scoped(error_free) struct error err = {0};

	CHECK_OK(folder_list(layers_folder(place->layers), &names, &err));
	return names.count;
}

/* Until the child has cleared away what was pruned. */
static void wait_until_left(struct place *place, size_t count)
{
	scoped(error_free) struct error err = {0};

	while (names_left(place) != count)
		if (!loop_turn(place->loop, 10, &err))
			return;
}

TEST(layers_that_were_used_longest_ago_go_and_those_in_use_stay)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings in_use = {0};
	scoped(text_free) char *first = layer_name(0);

	REQUIRE_OK(place_start(&place, &err));
	for (int i = 0; i < LAYERS_KEPT; i++)
		put_layer(&place, i, 1000 + i);
	CHECK(!layers_are_many(place.layers));
	for (int i = 0; i < 3; i++)
		put_layer(&place, LAYERS_KEPT + i, 5000);
	CHECK(layers_are_many(place.layers));
	/* the oldest is in use; the next oldest three are too many */
	strings_add(&in_use, first);
	layers_prune(place.layers, &in_use);
	CHECK(has_layer(&place, 0) && has_layer(&place, 4) && has_layer(&place, LAYERS_KEPT + 2));
	CHECK(!has_layer(&place, 1) && !has_layer(&place, 2) && !has_layer(&place, 3));
	wait_until_left(&place, LAYERS_KEPT);
	CHECK(!layers_are_many(place.layers));
	layers_prune(place.layers, &in_use);
	CHECK_INT(names_left(&place), LAYERS_KEPT);
}

TEST(nothing_goes_when_all_are_in_use)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings in_use = {0};

	REQUIRE_OK(place_start(&place, &err));
	for (int i = 0; i < LAYERS_KEPT + 5; i++) {
		scoped(text_free) char *name = layer_name(i);

		put_layer(&place, i, 1000 + i);
		strings_add(&in_use, name);
	}
	layers_prune(place.layers, &in_use);
	CHECK_INT(names_left(&place), LAYERS_KEPT + 5);
}

TEST(asking_for_an_image_is_using_its_layers)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings none = {0};
	/* its digest begins with what is the layer's name */
	struct task_image_layer layer = {.diff_id = {.bytes = {0}}};
	struct task_image image = {.layers = &layer, .layer_count = 1};
	bool ready = false;

	REQUIRE_OK(place_start(&place, &err));
	for (int i = 0; i < LAYERS_KEPT + 1; i++)
		put_layer(&place, i, 1000 + i);
	CHECK_OK(layers_prepare(place.layers, &image, NULL, NULL, &ready, &err));
	CHECK(ready);
	layers_prune(place.layers, &none);
	CHECK(has_layer(&place, 0) && !has_layer(&place, 1));
	wait_until_left(&place, LAYERS_KEPT);
}

TEST(what_a_killed_endpoint_did_not_clear_is_cleared_at_the_start)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(place_start(&place, &err));
	put_layer(&place, 1, 1000);
	scoped(text_free) char *left = path_join(layers_folder(place.layers), ".pruned-x/deep/er");

	REQUIRE_OK(folder_make(left, 0755, &err));
	layers_close(&place.layers);
	REQUIRE_OK(layers_open(&place.cloud, &place.layers, &err));
	CHECK_INT(names_left(&place), 1);
	CHECK(has_layer(&place, 1));
}

TEST_MAIN()
