# service.mk - builds and tests one service. Its Makefile says what it is made of and includes this:
#
#   SERVICE := rooms               the program: build/rooms
#   SOURCES := api main room store of the service's folder, without .c; main is left out of tests
#   KIT     := caller              of services/kit besides what every service has
#   BASE    := http_client …       of base/ besides what every service has
#   LIBS    := -lcurl              besides what every service has
#   TESTS   := api room            tests/api_test.c, tests/room_test.c
#
#   make            the program
#   make tests      the test programs as well
#   make check      runs them; build/reports/ then has what they found, as JUnit XML
#
# The program's bytes depend on the sources alone: compiled with paths relative to the repository's
# root, without debug information, stripped. Objects lie in build/.
ROOT := ../..
CC ?= cc
# Objects are kept between builds where there is ccache and somebody keeps .cache (buildspec.yml: cache):
# a build with one file changed then takes a fifth of the time. Found again by content alone.
ifneq ($(shell command -v ccache),)
CC := ccache $(CC)
export CCACHE_DIR ?= $(abspath $(ROOT))/.cache/ccache
export CCACHE_DEPEND := 1
endif

KIT_ALWAYS := config metrics request route service trace
BASE_ALWAYS := buf clock db db_migrate error file heap http_exchange http_gate http_request http_server json json_write \
	json_writer library log loop memory microhttpd_library path terminal
# libmicrohttpd is loaded by name (base/microhttpd_library.h): it is linked so that whoever packs the
# program sees that it belongs to it.
LIBS_ALWAYS := -ljansson -lsqlite3 -Wl,--no-as-needed -lmicrohttpd

# base/ puts DOGSHORE_VERSION into User-Agent; fixed here, or a release would change every program.
CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DDOGSHORE_VERSION='"services"' -I$(ROOT)
CFLAGS := -std=c17 -O1 -g0 -Wall -Wextra -Wno-missing-field-initializers -fvisibility=hidden -fno-strict-aliasing \
	-fstack-protector-strong -ffile-prefix-map=$(ROOT)/=
LDFLAGS := -Wl,-z,relro,-z,now -Wl,--as-needed -s

# Test programs are linked by the quicker linker where there is one (22 ms instead of 36).
QUICK := $(if $(shell command -v ld.gold),-fuse-ld=gold)

objects = $(patsubst %,build/objects/$(1)/%.o,$(2))
OBJECTS := $(call objects,base,$(BASE_ALWAYS) $(BASE)) \
	$(call objects,services/kit,$(KIT_ALWAYS) $(KIT)) \
	$(call objects,services/$(SERVICE),$(filter-out main,$(SOURCES)))
MAIN := $(call objects,services/$(SERVICE),main)
TRIAL := $(call objects,services/kit,trial)
TEST_OBJECTS := $(call objects,services/$(SERVICE)/tests,$(TESTS:%=%_test))
TEST_PROGRAMS := $(TESTS:%=build/tests/%_test)

build/$(SERVICE): $(MAIN) $(OBJECTS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_ALWAYS) $(LIBS)

$(TEST_PROGRAMS): build/tests/%: build/objects/services/$(SERVICE)/tests/%.o $(TRIAL) $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(QUICK) -o $@ $^ $(LIBS_ALWAYS) $(LIBS)

build/objects/%.o: $(ROOT)/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

.PHONY: tests check clean
tests: $(TEST_PROGRAMS)
check: tests
	@mkdir -p build/reports
	@set -e; for program in $(TEST_PROGRAMS); do echo "# $$program"; \
		TEST_REPORT=build/reports/$${program##*/}.xml $$program; done
clean:
	rm -rf build

-include $(patsubst %.o,%.d,$(MAIN) $(OBJECTS) $(TRIAL) $(TEST_OBJECTS))
