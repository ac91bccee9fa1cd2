# Flags shared by every target, and one function a room.
add_library(sandlock_flags INTERFACE)
target_include_directories(sandlock_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(sandlock_flags INTERFACE _GNU_SOURCE SANDLOCK_VERSION="${PROJECT_VERSION}")
target_compile_options(sandlock_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wvla $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes$<SEMICOLON>-Wmissing-prototypes>
  -Wno-sign-conversion $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> -fvisibility=hidden -fstack-protector-strong -fno-strict-aliasing
  $<$<NOT:$<CONFIG:Release>>:-Werror> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)

# sandlock_room(NAME SOURCES... ) -> static library sl_NAME; link its allowed rooms yourself.
function(sandlock_room name)
  add_library(sl_${name} STATIC ${ARGN})
  target_link_libraries(sl_${name} PUBLIC sandlock_flags)
endfunction()

# sandlock_program(NAME SOURCES...) -> an executable, static PIE when SANDLOCK_STATIC is on.
function(sandlock_program name)
  add_executable(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
    POSITION_INDEPENDENT_CODE ON)
  if(SANDLOCK_STATIC)
    target_link_options(${name} PRIVATE -static-pie -Wl,-z,relro,-z,now,--gc-sections)
  else()
    target_link_options(${name} PRIVATE -pie -Wl,-z,relro,-z,now)
  endif()
endfunction()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# sandlock_unit(ROOM FILE LIBS...) -> tests/unit/ROOM/test_FILE.c as ctest unit.ROOM.FILE; the room of
# a room is written with a slash and named with a dot (features/net: unit.features.net.FILE).
function(sandlock_unit room file)
  string(REPLACE "/" "_" target test_${room}_${file})
  string(REPLACE "/" "." name unit.${room}.${file})
  add_executable(${target} ${CMAKE_SOURCE_DIR}/tests/unit/${room}/test_${file}.c
    ${CMAKE_SOURCE_DIR}/tests/unit/support/deadline.c)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit/support)
  target_link_libraries(${target} PRIVATE sandlock_flags ${ARGN} cmocka)
  add_test(NAME ${name} COMMAND ${target})
  set_tests_properties(${name} PROPERTIES LABELS unit SKIP_RETURN_CODE 77 TIMEOUT 120)
endfunction()
