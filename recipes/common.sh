# Sourced by the run.sh of each recipe: its command line, the place of its data, and the steps from text to scores.
#
# A recipe sets USAGE, calls parse_arguments, sets its own variables and MODEL, then calls start, train and report.

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

declare -A OPTION=() # what was given to the options without a `--set` of their own, by name
WORDS=()             # arguments that are no options
SETTINGS=()          # `--set SECTION.KEY=VALUE` each, for nmt prepare and nmt train
THREADS=()           # `--threads N` for nmt evaluate and nmt translate
COMMON_USAGE="  --folder FOLDER         where the model goes
  --minutes N             train for at most N minutes
  --threads N             CPU threads
  --set SECTION.KEY=VALUE any setting; may be given many times (nmt config lists them)"

usage_error() {
    say "error: $*"
    exit 2
}

# parse_arguments NAMES ARGUMENT...: NAMES are the recipe's own options, separated by spaces; each takes a value.
parse_arguments() {
    local names=" $1 folder minutes set threads " name value
    shift
    while (($#)); do
        case "$1" in
            -h | --help)
                printf '%s\n%s\n' "$USAGE" "$COMMON_USAGE"
                exit 0
                ;;
            -*)
                name="${1#--}" name="${name%%=*}"
                [[ "$names" == *" $name "* ]] || usage_error "unknown option $1 (--help lists them)"
                if [[ "$1" == *=* ]]; then
                    value="${1#*=}"
                else
                    (($# > 1)) || usage_error "--$name: expected a value"
                    value="$2"
                    shift
                fi
                _take_option "$name" "$value"
                ;;
            *) WORDS+=("$1") ;;
        esac
        shift
    done
}

_take_option() {
    case "$1" in
        set)
            SETTINGS+=(--set "$2")
            [[ "$2" != folder=* ]] || OPTION[folder]="${2#folder=}"
            ;;
        folder) OPTION[folder]="$(absolute "$2")" ;;
        minutes) SETTINGS+=(--set "training.max_minutes=$2") ;;
        threads)
            SETTINGS+=(--set "training.threads=$2")
            THREADS=(--threads "$2")
            ;;
        *) OPTION[$1]="$2" ;;
    esac
}

# take_pair "SOURCE TARGET"...: SOURCE, TARGET and DATA_FOLDER from the words; the pairs are those that the recipe can do.
take_pair() {
    local pair
    ((${#WORDS[@]} == 2 || ${#WORDS[@]} == 3)) || usage_error "expected SOURCE TARGET [DATA_FOLDER] (--help tells more)"
    SOURCE="${WORDS[0]}" TARGET="${WORDS[1]}" DATA_FOLDER="${WORDS[2]:-}"
    for pair in "$@"; do
        [[ "$pair" != "$SOURCE $TARGET" ]] || return 0
    done
    usage_error "languages: expected $(printf '%s, ' "$@" | sed 's/, $//'), got $SOURCE $TARGET"
}

# absolute PATH: the same path from the root, for use after the current folder has changed.
absolute() {
    case "$1" in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s/%s\n' "$PWD" "$1" ;;
    esac
}

# find_data NAME FOLDER FILE...: prints the folder that holds all FILEs: FOLDER (or $NMT_DATA), or NAME below it.
find_data() {
    local name="$1" given="${2:-${NMT_DATA:-}}" folder file
    shift 2
    for folder in "$given/$name" "$given"; do
        for file in "$@"; do
            [[ -n "$given" && -f "$folder/$file" ]] || continue 2
        done
        (cd "$folder" && pwd)
        return
    done
    fail "no corpus in '${given:-DATA_FOLDER or \$NMT_DATA}': expected $name/ with $* (its README.md says where to get it)"
}

# start: the Python environment; from here on the current folder is the project's top.
start() {
    cd "$PROJECT"
    use_environment
    SETTINGS=(--set "data.source_language=$SOURCE" --set "data.target_language=$TARGET" "${SETTINGS[@]}" --set "folder=$MODEL")
}

# derive INPUT OUTPUT COMMAND...: passes gzipped text through a command, unless that is done; OUTPUT appears whole.
derive() {
    local input="$1" output="$2"
    shift 2
    [[ ! "$output" -nt "$input" ]] || return 0
    mkdir -p "$(dirname "$output")"
    gzip -dc "$input" | "$@" | gzip -n >"$output.$$.tmp" || fail "$input: could not be read, or $output not written"
    mv "$output.$$.tmp" "$output"
}

# train CONFIG: prepares and trains, or goes on where that stopped.
train() {
    nmt prepare "$1" "${SETTINGS[@]}"
    python "$PROJECT/recipes/measure.py" "$MODEL/runs.jsonl" nmt train "$1" "${SETTINGS[@]}"
}

# score TEST...: translates and scores test sets that the config names, unless done for this model already.
score() {
    local test output
    for test in "$@"; do
        output="$MODEL/$test.$TARGET.txt"
        [[ -f "$output" && "$output" -nt "$MODEL/model.safetensors" ]] ||
            nmt evaluate "$MODEL" --test "$test" --output "$output" "${THREADS[@]}" >/dev/null
    done
}

# report TEST...: the scores with their signatures, time, speed and memory.
report() {
    python "$PROJECT/recipes/summary.py" "$MODEL" "$@"
}
