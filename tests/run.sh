#!/usr/bin/env bash
# Run every test: `bash tests/run.sh [--sanitize] [pytest arguments]`.
#
# The native tests come first, then pytest against the installed package. `--sanitize` runs the native tests twice more,
# built to stop at memory errors and undefined behaviour, and at data races.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../recipes/environment.sh"

sanitize=no
if [ "${1:-}" = --sanitize ]; then
    sanitize=yes
    shift
fi

# native_tests FOLDER [CMAKE OPTION...]
native_tests() {
    local build="$PROJECT/build/$1"
    shift
    cmake -S "$PROJECT" -B "$build" -G Ninja -DRNN_ENGINE_TESTS=ON "$@" >"$build.log" 2>&1 &&
        cmake --build "$build" >>"$build.log" 2>&1 || {
        tail -n 60 "$build.log" >&2
        fail "the native tests could not be built; all of the output: $build.log"
    }
    ctest --test-dir "$build" --output-on-failure --no-tests=error
}

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

say "Python tests"
# The source tree has no built engine in it, so it must not hide the installed package: with Python's safe path, the
# current folder stays out of the module path.
cd "$PROJECT"
export PYTHONSAFEPATH=1
# One process for each core, each with one thread unless a test asks for more; a file's tests share what its fixtures made.
export OMP_NUM_THREADS=1
exec python -m pytest -n auto --dist loadfile "$@"
