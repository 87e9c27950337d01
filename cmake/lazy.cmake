# dogshore_load_lazily(TARGET LIBRARIES PkgConfig::A... ARCHIVES our_library...)
#
# The libraries are loaded when one of their functions is called, not when the program starts. It
# changes no other target: the stand-ins come first, and with --as-needed the linker then finds
# nothing left for the libraries to do. See cmake/lazy/lazy.c.
option(DOGSHORE_LAZY "Load libraries when they are needed (x86-64)" ON)

function(dogshore_load_lazily target)
	cmake_parse_arguments(ARG "" "" "LIBRARIES;ARCHIVES" ${ARGN})
	if(NOT DOGSHORE_LAZY OR DOGSHORE_SANITIZE OR NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
		return()
	endif()
	foreach(library ${ARG_LIBRARIES})
		get_target_property(path ${library} INTERFACE_LINK_LIBRARIES)
		list(GET path 0 path)
		list(APPEND paths ${path})
	endforeach()
	foreach(archive ${ARG_ARCHIVES})
		list(APPEND archives $<TARGET_FILE:${archive}>)
	endforeach()
	set(stubs ${CMAKE_CURRENT_BINARY_DIR}/${target}_lazy)
	set(generate ${PROJECT_SOURCE_DIR}/cmake/lazy/generate.sh)
	add_custom_command(OUTPUT ${stubs}.o VERBATIM
		DEPENDS ${generate} ${ARG_ARCHIVES}
		COMMAND ${generate} ${stubs}.s ${paths} -- ${archives}
		COMMAND ${CMAKE_C_COMPILER} -c -o ${stubs}.o ${stubs}.s)
	set_source_files_properties(${stubs}.o PROPERTIES EXTERNAL_OBJECT ON)
	target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/lazy/lazy.c ${stubs}.o)
endfunction()
