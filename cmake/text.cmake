# librnn_translate_text: UTF-8 in and out, with SentencePiece, above the C API of ids. Debian has it as
# libsentencepiece-dev; one that lies elsewhere is found by CMAKE_PREFIX_PATH.

if(NOT RNN_ENGINE_TEXT STREQUAL "OFF")
  find_path(SENTENCEPIECE_INCLUDE sentencepiece_processor.h)
  find_library(SENTENCEPIECE_LIBRARY sentencepiece)
  mark_as_advanced(SENTENCEPIECE_INCLUDE SENTENCEPIECE_LIBRARY)
  if(SENTENCEPIECE_INCLUDE AND SENTENCEPIECE_LIBRARY)
    message(STATUS "librnn_translate_text: with ${SENTENCEPIECE_LIBRARY}")
    add_library(rnn_translate_text STATIC csrc/text/capi.cpp csrc/text/plain.cpp csrc/text/translator.cpp)
    target_include_directories(rnn_translate_text PUBLIC csrc/include PRIVATE csrc)
    target_include_directories(rnn_translate_text SYSTEM PRIVATE ${SENTENCEPIECE_INCLUDE})
    target_compile_options(rnn_translate_text PRIVATE -O2 -fvisibility=hidden -Wall -Wextra)
    target_link_libraries(rnn_translate_text PUBLIC rnn_engine ${SENTENCEPIECE_LIBRARY})
    add_executable(translate_lines EXCLUDE_FROM_ALL examples/translate_lines.c)
    target_link_libraries(translate_lines PRIVATE rnn_translate_text)
    target_link_options(translate_lines PRIVATE -Wl,--gc-sections)
  elseif(RNN_ENGINE_TEXT STREQUAL "ON")
    message(FATAL_ERROR "RNN_ENGINE_TEXT=ON needs SentencePiece: sentencepiece_processor.h and libsentencepiece "
                        "(Debian: libsentencepiece-dev)")
  else()
    message(STATUS "librnn_translate_text: left out, with its example and test: no SentencePiece was found "
                   "(Debian: libsentencepiece-dev)")
  endif()
endif()
