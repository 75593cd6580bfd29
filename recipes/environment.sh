# Sourced by the scripts of the project: `use_environment EXTRAS` puts a Python environment with the installed project
# first in PATH. It takes the active virtual environment, or .venv at the top of the project, which it makes if needed.
# What is up to date already is left alone, so a second run costs no time. With NMT_INSTALL=no nothing is installed: `nmt`
# and `python` are those in PATH.

unset PYTHONSAFEPATH # a Python script finds what it imports in its own folder
PROJECT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
STEP_NAME="$(basename "$0")"

# What is said after SAY_SINCE, in seconds as `date +%s` gives them, is said with the minutes since.
say() {
    local since="${SAY_SINCE:-}" minutes=
    if [ -n "$since" ]; then
        since=$(($(date +%s) - since))
        printf -v minutes ' (%d:%02d)' $((since / 60)) $((since % 60))
    fi
    printf '%s%s: %s\n' "$STEP_NAME" "$minutes" "$*" >&2
}

fail() {
    say "error: $*"
    exit 1
}

# use_environment [EXTRAS]: EXTRAS as in pyproject.toml, separated by commas; `train` is always one.
use_environment() {
    local extras="train${1:+,$1}" environment="${VIRTUAL_ENV:-$PROJECT/.venv}"
    if [ "${NMT_INSTALL:-yes}" = no ]; then
        command -v nmt >/dev/null || fail "NMT_INSTALL=no, but nmt is not in PATH"
        return
    fi
    _require_compiler
    if ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then
        _make_environment "$environment"
    fi
    export VIRTUAL_ENV="$environment" PATH="$environment/bin:$PATH"
    unset PYTHONHOME PYTHONPATH
    (
        flock 9 # two scripts at once install one after the other
        _install_torch
        _install_project "$extras"
    ) 9>"$environment/.nmt-lock"
}

# run_recipe SCRIPT ARGUMENT...: a script of recipes/, which needs nothing installed and makes the environment itself.
run_recipe() {
    local script="$PROJECT/recipes/$1"
    shift
    _require_python
    exec python3 "$script" "$@"
}

# install_tools PACKAGE...: further packages, in the tested versions.
install_tools() {
    _pip install "$@" || fail "pip could not install $*"
}

_pip() {
    python -m pip --quiet --disable-pip-version-check "$@" --constraint "$PROJECT/constraints.txt" 9>&-
}

_require_compiler() {
    local compiler="${CXX:-c++}"
    command -v "$compiler" >/dev/null || fail "no C++ compiler: '$compiler' is not in PATH." \
        "The engine is built from source and needs one with C++20 (g++ >= 12 or clang >= 15); on Debian: apt install g++"
    printf '#include <concepts>\n#include <span>\nint main() { return 0; }\n' |
        "$compiler" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null ||
        fail "'$compiler' does not compile C++20: $("$compiler" --version | head -n 1); g++ >= 12 or clang >= 15 is needed"
}

_require_python() {
    command -v python3 >/dev/null || fail "python3 is not in PATH; version 3.11 or later is needed"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "python3 is $(python3 -c 'import platform; print(platform.python_version())'); 3.11 or later is needed"
}

_make_environment() {
    _require_python
    say "making a Python environment in $1"
    python3 -m venv --clear "$1" || fail "python3 -m venv failed; on Debian: apt install python3-venv"
}

_install_torch() {
    local pin
    pin="$(grep -E '^torch==' "$PROJECT/constraints.txt")" || fail "constraints.txt: expected a line torch==VERSION"
    if [ "$(_stamp torch)" != "$pin" ]; then
        say "installing $pin (the largest download)"
        _pip install "$pin" || fail "pip could not install $pin"
        printf '%s\n' "$pin" >"$(_stamp_file torch)"
    fi
}

_install_project() {
    local extras="$1" sources requirements
    # scikit-build-core's variable, so that pip asks for no option
    local -x SKBUILD_CMAKE_DEFINE="${SKBUILD_CMAKE_DEFINE:-$(_cuda_options)}"
    # where tests/run.sh builds, too: the engine's library is compiled once
    local -x SKBUILD_BUILD_DIR="${SKBUILD_BUILD_DIR:-$PROJECT/build/native}"
    sources="$SKBUILD_CMAKE_DEFINE $(_checksum nmt rnn_engine csrc cmake CMakeLists.txt pyproject.toml README.md LICENSE)"
    requirements="$(_checksum pyproject.toml constraints.txt)"
    if [ "$(_stamp project)" = "$sources" ] && _has_extras "$extras" "$requirements"; then
        return
    fi
    say "building and installing the project with $extras"
    # pip rebuilds a local folder each time, but keeps an unchanged version number's dependencies as they are
    _pip install "$PROJECT[$extras]" || fail "the project could not be built or installed; see above"
    printf '%s\n' "$sources" >"$(_stamp_file project)"
    printf '%s\n' "$requirements" >"$(_stamp_file "extras-$extras")"
}

# _has_extras EXTRAS REQUIREMENTS: whether they were installed, all at once, alone or with others, from those requirements.
_has_extras() {
    local file extra
    for file in "$(_stamp_file extras-)"*; do
        [ "$(cat "$file" 2>/dev/null)" = "$2" ] || continue
        for extra in ${1//,/ }; do
            [[ ",${file##*extras-}," == *",$extra,"* ]] || continue 2
        done
        return 0
    done
    return 1
}

# The kernels for GPUs take minutes to compile: for this machine's own card, where there is one, and else not at all.
_cuda_options() {
    if command -v nvcc >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
        printf 'RNN_ENGINE_TESTS=OFF;RNN_ENGINE_CUDA=ON;CMAKE_CUDA_ARCHITECTURES=native'
    else
        printf 'RNN_ENGINE_TESTS=OFF;RNN_ENGINE_CUDA=OFF'
    fi
}

_stamp_file() {
    printf '%s/.nmt-installed-%s' "$VIRTUAL_ENV" "$1"
}

_stamp() {
    cat "$(_stamp_file "$1")" 2>/dev/null || true
}

# One checksum over the names and contents of files and folders, relative to the project.
_checksum() {
    local path present=()
    for path in "$@"; do
        [ ! -e "$PROJECT/$path" ] || present+=("$path")
    done
    (cd "$PROJECT" && find "${present[@]}" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
}
