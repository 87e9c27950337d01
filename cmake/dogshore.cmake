# What every target of ours shares, and the three ways to declare one:
#
#   dogshore_library(NAME SOURCES ... USES ...)    a static library, one per folder
#   dogshore_program(NAME SOURCES ... USES ...)    a program, left at the top of the build tree
#   dogshore_test(NAME SOURCES ... USES ...)       a TAP test program, left in test-programs/ of the build tree
#
# USES names our libraries and the imported targets of PkgConfig. A folder may use only what stands
# left of it in ARCHITECTURE.md; because nothing else is linked, a call the wrong way fails to link.
find_package(PkgConfig REQUIRED)

function(dogshore_find name spec)
	pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${spec})
endfunction()

dogshore_find(JANSSON "jansson>=2.14")
dogshore_find(YAML "yaml-0.1>=0.2.5")
dogshore_find(CURL "libcurl>=7.88")
dogshore_find(EXPAT "expat>=2.5")
dogshore_find(MICROHTTPD "libmicrohttpd>=0.9.75")
dogshore_find(CRYPTO "libcrypto>=3.0")
dogshore_find(SQLITE "sqlite3>=3.40")
dogshore_find(ARCHIVE "libarchive>=3.6")
dogshore_find(ZSTD "libzstd>=1.5")
dogshore_find(DEFLATE "libdeflate>=1.14")
dogshore_find(GIT2 "libgit2>=1.5")

add_library(dogshore_flags INTERFACE)
target_compile_features(dogshore_flags INTERFACE c_std_17)
target_compile_definitions(dogshore_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
	DOGSHORE_VERSION="${PROJECT_VERSION}")
target_include_directories(dogshore_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(dogshore_flags INTERFACE
	-fvisibility=hidden -fno-strict-aliasing -fstack-protector-strong
	-ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -ffile-prefix-map=${PROJECT_BINARY_DIR}/=
	-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
	-Wcast-qual -Wundef -Wvla -Wformat=2 -Wswitch-enum -Wno-missing-field-initializers
	$<$<C_COMPILER_ID:Clang>:-Wno-gnu-zero-variadic-macro-arguments>
	$<$<BOOL:${DOGSHORE_WERROR}>:-Werror>)
target_link_options(dogshore_flags INTERFACE -Wl,--as-needed -Wl,-z,relro)
if(DOGSHORE_SANITIZE)
	target_compile_options(dogshore_flags INTERFACE -fsanitize=${DOGSHORE_SANITIZE}
		-fno-omit-frame-pointer -fno-sanitize-recover=all)
	string(REPLACE "fuzzer-no-link," "" link_sanitizers "${DOGSHORE_SANITIZE}")
	target_link_options(dogshore_flags INTERFACE -fsanitize=${link_sanitizers})
endif()
set(CMAKE_C_EXTENSIONS OFF)

function(dogshore_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
	add_library(${name} STATIC ${ARG_SOURCES})
	target_link_libraries(${name} PUBLIC dogshore_flags ${ARG_USES})
endfunction()

function(dogshore_program name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
	add_executable(${name} ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE dogshore_flags ${ARG_USES})
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endfunction()

# The test's NAME is its path below tests/ without "_test.c", with "/" as "_".
function(dogshore_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
	add_executable(${name}_test ${ARG_SOURCES})
	target_link_libraries(${name}_test PRIVATE dogshore_flags ${ARG_USES})
	set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test-programs)
	set_property(GLOBAL APPEND PROPERTY DOGSHORE_TESTS ${name}_test)
endfunction()
