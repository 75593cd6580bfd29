# librnn_engine_cuda: the engine on NVIDIA GPUs, a library of its own with the same C API, which is loaded at run time.
# tests/cpp/emulator compiles the same sources for the CPU.

set(RNN_ENGINE_CUDA_SOURCES
  csrc/base/fork.cpp
  csrc/api/functions.cpp
  csrc/api/capi.cpp
  csrc/api/attention.cpp
  csrc/api/linear.cpp
  csrc/api/trace.cpp
  csrc/cuda/run/backward.cpp
  csrc/cuda/graphs.cpp
  csrc/cuda/capi.cpp
  csrc/cuda/attention/attention.cpp
  csrc/cuda/cost.cpp
  csrc/cuda/gemm/cublas.cpp
  csrc/cuda/run/forward.cpp
  csrc/cuda/linear/linear.cpp
  csrc/cuda/loss/loss.cpp
  csrc/cuda/plan.cpp
  csrc/cuda/streams.cpp
  csrc/api/arguments.cpp
  csrc/plan/graph.cpp
  csrc/plan/ready_tiles.cpp
  csrc/plan/schedule.cpp
  csrc/plan/shape.cpp
  csrc/plan/tiles.cpp
  csrc/plan/wavefront.cpp)
set(RNN_ENGINE_CUDA_KERNELS
  csrc/cuda/attention/additive.cu
  csrc/cuda/attention/weights.cu
  csrc/cuda/kernels/cells.cu
  csrc/cuda/kernels/elementwise.cu
  csrc/cuda/gemm/gemm.cu
  csrc/cuda/linear/epilogue.cu
  csrc/cuda/loss/softmax.cu
  csrc/cuda/kernels/step.cu
  csrc/cuda/kernels/step_backward.cu
  csrc/cuda/kernels/whole_rows.cu)
list(TRANSFORM RNN_ENGINE_CUDA_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/)
list(TRANSFORM RNN_ENGINE_CUDA_KERNELS PREPEND ${PROJECT_SOURCE_DIR}/)

set(wanted ${RNN_ENGINE_CUDA})
if(wanted STREQUAL "AUTO")
  execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE card OUTPUT_QUIET ERROR_QUIET)
  if(NOT card EQUAL 0)
    set(wanted OFF)
    message(STATUS "no NVIDIA GPU: librnn_engine_cuda is left out; -DRNN_ENGINE_CUDA=ON builds it for every kind")
  elseif(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES native)
  endif()
endif()
if(NOT wanted STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(RNN_ENGINE_CUDA STREQUAL "ON" AND NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "RNN_ENGINE_CUDA=ON: expected nvcc in PATH, found none")
  endif()
endif()

if(CMAKE_CUDA_COMPILER AND NOT wanted STREQUAL "OFF")
  set(images)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    # sm_90 from the PTX of 80, which gives the machine code that its own would. It is in the library, too: sm_100 and sm_103,
    # which have no image here and cannot start from the PTX of 120, compile it at run time; 120's is for what comes after it.
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    set(images "--generate-code=arch=compute_75,code=sm_75" "--generate-code=arch=compute_80,code=[compute_80,sm_80,sm_90]"
      "--generate-code=arch=compute_120,code=[compute_120,sm_120]")
  endif()
  enable_language(CUDA)
  add_library(rnn_engine_cuda SHARED ${RNN_ENGINE_CUDA_SOURCES} ${RNN_ENGINE_CUDA_KERNELS})
  target_include_directories(rnn_engine_cuda PRIVATE ${PROJECT_SOURCE_DIR}/csrc ${PROJECT_SOURCE_DIR}/csrc/include
    ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  set_target_properties(rnn_engine_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static CXX_VISIBILITY_PRESET hidden
    CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  # As on the CPU, no multiply-add but those that are written out. 1675: about pragmas of gcc's. The standard is asked of
  # nvcc itself: a CMake that is older than an nvcc may not know how.
  target_compile_options(rnn_engine_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-O2;-ffp-contract=off;-Wall;-Wextra>
    $<$<COMPILE_LANGUAGE:CUDA>:${images};-std=c++20;-fmad=false;--threads=2;-diag-suppress=1675>)
  target_link_libraries(rnn_engine_cuda PRIVATE ${CMAKE_DL_LIBS})
  target_link_options(rnn_engine_cuda PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,defs)
endif()
