#!/usr/bin/env bash
# Run every test: `bash tests/run.sh [--sanitize] [--small] [--aarch64] [--cuda] [pytest arguments]`.
#
# The native tests come first, then pytest against the installed package. `--sanitize` runs the native tests twice more,
# built to stop at memory errors and undefined behaviour, and at data races. `--small` runs those of the library that is
# built for translating alone. `--aarch64` runs them once more, built for AArch64 and emulated by qemu, and compares the
# bits of both processors. `--cuda` compiles the CUDA kernels with nvcc and fails if one of them spills registers; no card
# is needed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../recipes/environment.sh"

sanitize=no small=no aarch64=no cuda=no
while :; do
    case "${1:-}" in
    --sanitize) sanitize=yes ;;
    --small) small=yes ;;
    --aarch64) aarch64=yes ;;
    --cuda) cuda=yes ;;
    *) break ;;
    esac
    shift
done

# native_tests FOLDER [CMAKE OPTION...]: pip may have begun in the folder, with a Ninja and for a module that are gone.
native_tests() {
    local build="$PROJECT/build/$1"
    shift
    cmake -S "$PROJECT" -B "$build" -G Ninja "-DCMAKE_MAKE_PROGRAM=$(command -v ninja)" -DSKBUILD=OFF \
        -DRNN_ENGINE_TESTS=ON -DRNN_ENGINE_CUDA=OFF "$@" >"$build.log" 2>&1 &&
        cmake --build "$build" >>"$build.log" 2>&1 || {
        tail -n 60 "$build.log" >&2
        fail "the native tests could not be built; all of the output: $build.log"
    }
    ctest --test-dir "$build" --parallel "$(nproc)" --output-on-failure --no-tests=error
}

# compile_kernels: librnn_engine_cuda for every kind of GPU; no kernel may keep anything in memory that belongs in registers.
compile_kernels() {
    local build="$PROJECT/build/cuda"
    cmake -S "$PROJECT" -B "$build" -G Ninja -DRNN_ENGINE_CUDA=ON "-DCMAKE_CUDA_FLAGS=-Xptxas=-v" >"$build.log" 2>&1 &&
        cmake --build "$build" --target rnn_engine_cuda --clean-first >>"$build.log" 2>&1 || {
        tail -n 60 "$build.log" >&2
        fail "the CUDA kernels could not be compiled; all of the output: $build.log"
    }
    # Layer norm in float64 on sm_120, which hardly has float64, needs more registers than a thread can have: once. (Lines about
    # several architectures come mixed: only that of the kernel's name stands before its figures.)
    awk '/Compiling entry function/ { ++kernels }
         /Function properties for/ { kernel = $0 }
         /bytes stack frame/ && !/ 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads/ &&
             (kernel !~ /whole_rows.*backward_kernelId/ || ++spared > 1) { print kernel; print; bad = 1 }
         END { print kernels " kernels" > "/dev/stderr"; exit bad || !kernels }' "$build.log" >&2 ||
        fail "the kernels above spill registers"
}

need_aarch64_tools() {
    local tool
    for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
        command -v "$tool" >/dev/null || fail "--aarch64 needs $tool, which is not in PATH;" \
            "on Debian: apt install g++-aarch64-linux-gnu qemu-user"
    done
}

# digests FOLDER [EMULATOR...]: what the instruction sets of a build compute, into FOLDER.digests; a line is an instruction
# set, a case, and digests of the results.
digests() {
    local build="$PROJECT/build/$1"
    shift
    {
        "$@" "$build/tests/cpp/test_capi" digests && "$@" "$build/tests/cpp/test_loss" digests &&
            "$@" "$build/tests/cpp/test_model_file" digests "$PROJECT"/tests/data/*.nmt
    } >"$build.digests" || fail "digests of $build could not be made"
}

# same_digests FILE...: every instruction set in the files has the same cases with the same results.
same_digests() {
    awk -F '\t' '
        { set = FILENAME ": " $1; ++cases[set] }
        !($2 in result) { ++total; result[$2] = $3; owner[$2] = set }
        result[$2] != $3 { different = 1; printf "%s\n  %s: %s\n  %s: %s\n", $2, owner[$2], result[$2], set, $3 }
        END {
            for (set in cases) {
                printf "%s, %d cases\n", set, cases[set]
                if (cases[set] != total) different = 1
            }
            exit different
        }' "$@" >&2
}

[ "$aarch64" = no ] || need_aarch64_tools
use_environment test
install_tools cmake ninja
mkdir -p "$PROJECT/build"

say "native tests"
native_tests native
if [ "$sanitize" = yes ]; then
    say "native tests under the address and undefined-behaviour sanitizers"
    native_tests sanitize -DRNN_ENGINE_SANITIZE=address,undefined
    say "native tests under the thread sanitizer"
    # One test forks while the pool's threads are there, and the child starts its own.
    TSAN_OPTIONS=die_after_fork=0 native_tests threads -DRNN_ENGINE_SANITIZE=thread
fi

if [ "$small" = yes ]; then
    say "the library for translating alone"
    native_tests small -DRNN_ENGINE_TRANSLATING_ALONE=ON
fi

if [ "$aarch64" = yes ]; then
    say "native tests for AArch64, emulated"
    native_tests aarch64 "-DCMAKE_TOOLCHAIN_FILE=$PROJECT/cmake/aarch64-linux-gnu.cmake"
    say "the bits of both processors"
    digests native
    digests aarch64 qemu-aarch64 -L /usr/aarch64-linux-gnu
    same_digests "$PROJECT/build/native.digests" "$PROJECT/build/aarch64.digests" ||
        fail "the instruction sets above do not compute the same bits"
fi

if [ "$cuda" = yes ]; then
    say "CUDA kernels for every kind of GPU"
    compile_kernels
fi

say "Python tests"
# The source tree has no built engine in it, so it must not hide the installed package: with Python's safe path, the
# current folder stays out of the module path.
cd "$PROJECT"
export PYTHONSAFEPATH=1
# One process for each core, each with one thread unless a test asks for more; a file's tests share what its fixtures made.
# Files go out in their order, the short ones of tests/unit last: else the longest, of few tests, would keep one core busy
# at the end.
export OMP_NUM_THREADS=1
exec python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
