# dogshore_load_lazily(TARGET LIBRARIES PkgConfig::A... FILES library.so... ARCHIVES our_library|FILE.a...)
#
# The libraries are loaded when one of their functions is called, not when the program starts. It
# changes no other target: the stand-ins come first, and with --as-needed the linker then finds
# nothing left for the libraries to do. See cmake/lazy/lazy.c.
option(DOGSHORE_LAZY "Load libraries when they are needed (x86-64)" ON)

if(DOGSHORE_LAZY AND NOT DOGSHORE_SANITIZE AND CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
	set(lazy ON)
else()
	set(lazy OFF)
endif()

function(dogshore_load_lazily target)
	cmake_parse_arguments(ARG "" "" "LIBRARIES;FILES;ARCHIVES" ${ARGN})
	if(NOT lazy)
		return()
	endif()
	set(paths ${ARG_FILES})
	foreach(library ${ARG_LIBRARIES})
		get_target_property(path ${library} INTERFACE_LINK_LIBRARIES)
		list(GET path 0 path)
		list(APPEND paths ${path})
	endforeach()
	foreach(archive ${ARG_ARCHIVES})
		if(TARGET ${archive})
			set(archive $<TARGET_FILE:${archive}>)
		endif()
		list(APPEND archives ${archive})
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

# dogshore_link_curl(TARGET PREFIX)
#
# Links libcurl's archive where there is one like Debian's (base/curl_linked.c says why), and sets PREFIX_libraries,
# to be loaded when the archive calls them, and PREFIX_archive for dogshore_load_lazily().
option(DOGSHORE_LINK_CURL "Link libcurl's archive (x86-64)" ON)

function(dogshore_link_curl target prefix)
	set(shared ${CURL_LIBDIR}/libcurl.so.4)
	set(archive ${CURL_LIBDIR}/libcurl.a)
	if(NOT lazy OR NOT DOGSHORE_LINK_CURL OR NOT EXISTS ${shared} OR NOT EXISTS ${archive})
		return()
	endif()
	# A link leads to the archive of another build (libcurl4-gnutls-dev). Otherwise both come from one, so what the one
	# needs the other needs.
	if(IS_SYMLINK ${archive})
		return()
	endif()
	execute_process(COMMAND readelf -d ${shared} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
	string(REGEX MATCHALL "NEEDED[^\n]*" lines "${dynamic}")
	foreach(line ${lines})
		string(REGEX REPLACE ".*\\[(.*)\\].*" "${CURL_LIBDIR}/\\1" library ${line})
		if(NOT EXISTS ${library})
			return()
		endif()
		if(NOT library MATCHES "/libc\\.so")
			list(APPEND libraries ${library})
		endif()
	endforeach()
	# What the two are known by is in the shared library's first page.
	file(REAL_PATH ${shared} file)
	execute_process(COMMAND readelf -n ${file} OUTPUT_VARIABLE notes COMMAND_ERROR_IS_FATAL ANY)
	file(READ ${file} page LIMIT 4096 HEX)
	if(NOT notes MATCHES "Build ID: ([0-9a-f]+)")
		return()
	endif()
	set(id ${CMAKE_MATCH_1})
	string(FIND "${page}" ${id} at)
	if(at EQUAL -1)
		return()
	endif()
	string(REGEX REPLACE "(..)" "0x\\1," bytes ${id})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file} ${archive})
	target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/base/curl_linked.c)
	set_source_files_properties(${PROJECT_SOURCE_DIR}/base/curl_linked.c PROPERTIES COMPILE_DEFINITIONS
		"DOGSHORE_CURL_LIBRARY=\"${shared}\";DOGSHORE_CURL_BUILD_ID=${bytes}")
	target_include_directories(${target} PRIVATE ${CURL_INCLUDE_DIRS})
	# The libraries once more, for data that another libcurl may want of them.
	target_link_libraries(${target} PRIVATE ${archive} ${libraries})
	# Its licence is to go wherever its code goes.
	if(EXISTS /usr/share/doc/libcurl4-openssl-dev/copyright)
		install(FILES /usr/share/doc/libcurl4-openssl-dev/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME libcurl.copyright)
	endif()
	set(${prefix}_libraries ${libraries} PARENT_SCOPE)
	set(${prefix}_archive ${archive} PARENT_SCOPE)
endfunction()
