# The targets of cuda/, where there is a CUDA compiler.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(CMAKE_CUDA_ARCHITECTURES 90)
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 and earlier do not know that nvcc has C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
message(STATUS "deblai: CUDA ${CMAKE_CUDA_COMPILER_VERSION} kernels for ${CMAKE_CUDA_ARCHITECTURES}")

add_library(deblai_cuda STATIC
            src/call.cu src/device.cu src/validate.cu src/columns/columns.cu src/laguerre/laguerre.cu src/laguerre/solid/laguerre3.cu
            src/lloyd/lloyd.cu src/lloyd/lloyd-seed.cu src/multimarginal/multimarginal.cu
            src/multimarginal/multimarginal_minimum.cu src/multimarginal/graph/graph.cu src/sliced/sliced.cu
            src/sliced/sort_f32.cu src/sliced/sort_f64.cu)
add_library(deblai::cuda ALIAS deblai_cuda)
target_include_directories(deblai_cuda PUBLIC include PRIVATE src)
target_link_libraries(deblai_cuda PUBLIC deblai::core)
# Never --use_fast_math: float32 stays IEEE, without TF32.
set(deblai_cuda_flags -Xcompiler=-Wall,-Wextra -Xfatbin=-compress-all)
if(DEBLAI_WERROR)
  list(APPEND deblai_cuda_flags -Werror=all-warnings)
endif()
target_compile_options(deblai_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${deblai_cuda_flags}>)

if(DEBLAI_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
  find_package(pybind11 3 CONFIG REQUIRED)
  pybind11_add_module(_cuda bind/module.cpp bind/bind_columns.cpp bind/bind_laguerre.cpp bind/bind_laguerre3.cpp bind/bind_lloyd.cpp
                            bind/bind_multimarginal.cpp bind/bind_sliced.cpp ${PROJECT_SOURCE_DIR}/cpp/bind/errors.cpp)
  target_include_directories(_cuda PRIVATE ${PROJECT_SOURCE_DIR}/cpp/bind)
  target_link_libraries(_cuda PRIVATE deblai::cuda)
  # The static CUDA runtime stays inside: PyTorch brings a libcudart of its own with the same symbols.
  target_link_options(_cuda PRIVATE -Wl,--exclude-libs,ALL)
  install(TARGETS _cuda DESTINATION deblai COMPONENT python)
endif()
if(DEBLAI_BENCH)
  foreach(name laguerre laguerre3 multimarginal sliced)
    add_executable(bench_${name}_cuda ${PROJECT_SOURCE_DIR}/bench/bench_${name}.cu)
    target_link_libraries(bench_${name}_cuda PRIVATE deblai::cuda)
    target_compile_options(bench_${name}_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${deblai_cuda_flags}>)
  endforeach()
endif()
