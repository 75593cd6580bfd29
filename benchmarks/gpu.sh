#!/usr/bin/env bash
# benchmarks/gpu.py on a machine with a card: builds the engine and its CUDA library there, then runs it.
#
#     bash benchmarks/gpu.sh [arguments of gpu.py]
#
# Needs in PATH nvcc, cmake, ninja, and a python3 (or PYTHON) that has torch with CUDA, numpy and nanobind. No network.
# With --dry-run it needs no card and no nvcc: the emulated library takes the CUDA library's place.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$(command -v "${PYTHON:-python3}")
build=$project/build/gpu

fail() {
    echo "gpu.sh: $*" >&2
    exit 1
}

dry=no
for argument in "$@"; do
    [ "$argument" != --dry-run ] || dry=yes
done
tools=(cmake ninja)
[ "$dry" = yes ] || tools+=(nvcc)
for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || fail "$tool is not in PATH"
done
"$python" -c 'import nanobind, numpy, torch' || fail "$python needs torch, numpy and nanobind"

# The card's own architecture alone: a build for all of them takes several times as long.
options=(-DRNN_ENGINE_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native)
targets=(_core rnn_engine_cuda)
library=$build/librnn_engine_cuda.so
if [ "$dry" = yes ]; then
    options=(-DRNN_ENGINE_CUDA=OFF -DRNN_ENGINE_TESTS=ON)
    targets=(_core rnn_engine_cuda_emulated)
    library=$build/tests/cpp/emulator/librnn_engine_cuda_emulated.so
fi
mkdir -p "$project/build"
if ! {
    cmake -S "$project" -B "$build" -G Ninja -DSKBUILD=ON -DPython_EXECUTABLE="$python" "${options[@]}" &&
        cmake --build "$build" --target "${targets[@]}"
} >"$build.log" 2>&1; then
    tail -n 40 "$build.log" >&2
    fail "the engine could not be built; all of the output: $build.log"
fi

# The packages as they lie in the source tree, with the extension that was just built.
mkdir -p "$build/site"
rm -rf "$build/site/rnn_engine" "$build/site/nmt"
cp -r "$project/rnn_engine" "$project/nmt" "$build/site/"
rm -f "$build/site/rnn_engine/"_core*.so
cp "$build/"_core*.so "$build/site/rnn_engine/"
export PYTHONPATH=$build/site${PYTHONPATH:+:$PYTHONPATH}
export RNN_ENGINE_CUDA_LIBRARY=$library
exec "$python" -u "$project/benchmarks/gpu.py" "$@"
