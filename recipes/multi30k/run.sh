#!/usr/bin/env bash
# Train and score a Multi30k model: bash recipes/multi30k/run.sh SRC TGT [DATA_FOLDER] [--cell lstm|mi_lstm] [--set KEY=VALUE]...
set -euo pipefail

languages="en de fr cs"
usage="usage: bash recipes/multi30k/run.sh SRC TGT [DATA_FOLDER] [--cell lstm|mi_lstm] [--set SECTION.KEY=VALUE]...
  SRC, TGT      two of: $languages
  DATA_FOLDER   holds multi30k/, or is it; \$NMT_DATA if not given"

fail() {
    printf '%s\n' "run.sh: error: $1" >&2
    exit 2
}

words=()
overrides=()
CELL=lstm
while (($#)); do
    case "$1" in
        -h | --help) echo "$usage"; exit 0 ;;
        --cell) CELL="${2:?--cell: expected lstm or mi_lstm}"; shift 2 ;;
        --cell=*) CELL="${1#--cell=}"; shift ;;
        --set) overrides+=(--set "${2:?--set: expected SECTION.KEY=VALUE}"); shift 2 ;;
        --set=*) overrides+=("$1"); shift ;;
        -*) fail "unknown option $1 (--help lists them)" ;;
        *) words+=("$1"); shift ;;
    esac
done

((${#words[@]} == 2 || ${#words[@]} == 3)) || { echo "$usage" >&2; exit 2; }
SOURCE="${words[0]}" TARGET="${words[1]}"
for language in "$SOURCE" "$TARGET"; do
    [[ " $languages " == *" $language "* ]] || fail "language: expected one of $languages, got $language"
done
[[ "$SOURCE" != "$TARGET" ]] || fail "expected two different languages, got $SOURCE twice"
[[ "$CELL" == lstm || "$CELL" == mi_lstm ]] || fail "--cell: expected lstm or mi_lstm, got $CELL"

data="${words[2]:-${NMT_DATA:-}}"
MULTI30K=
for folder in "$data" "$data/multi30k"; do
    if [[ -n "$data" && -f "$folder/train.$SOURCE.gz" && -f "$folder/train.$TARGET.gz" ]]; then
        MULTI30K="$(cd "$folder" && pwd)"
    fi
done
[[ -n "$MULTI30K" ]] || fail "no corpus in '${data:-DATA_FOLDER or \$NMT_DATA}': get task 1 raw from \
https://github.com/multi30k/dataset and lay it out as multi30k/{train,valid,test_2016_flickr,test_2017_flickr}.{en,de,fr,cs}.gz \
(val is named valid; cs has no test_2017_flickr)"

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source recipes/environment.sh
use_environment

export MULTI30K SOURCE TARGET CELL
config=recipes/multi30k/config.toml
settings=(
    --set "data.source_language=$SOURCE" --set "data.target_language=$TARGET" --set "model.cell=$CELL"
    ${overrides[@]+"${overrides[@]}"}
)
model="run/multi30k-$SOURCE-$TARGET-$CELL"
for override in ${overrides[@]+"${overrides[@]}"}; do
    override="${override#--set=}"
    [[ "$override" != folder=* ]] || model="${override#folder=}"
done

nmt prepare "$config" "${settings[@]}"
nmt train "$config" "${settings[@]}"
for test in test_2016_flickr test_2017_flickr; do
    [[ -f "$MULTI30K/$test.$SOURCE.gz" && -f "$MULTI30K/$test.$TARGET.gz" ]] || continue
    echo "$test $SOURCE-$TARGET"
    nmt evaluate "$model" --test "$test" --output "$model/$test.$TARGET.txt"
done
