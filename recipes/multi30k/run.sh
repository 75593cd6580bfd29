#!/usr/bin/env bash
# Train and score a Multi30k model: bash recipes/multi30k/run.sh SRC TGT [DATA_FOLDER] [--cell lstm|mi_lstm]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

USAGE="usage: bash recipes/multi30k/run.sh SRC TGT [DATA_FOLDER] [OPTION]...
  SRC, TGT                two of: en de fr cs
  DATA_FOLDER             holds multi30k/, or is it; \$NMT_DATA if not given
  --cell lstm|mi_lstm     recurrent cell  [lstm]"

parse_arguments cell "$@"
take_pair {en\ {de,fr,cs},de\ {en,fr,cs},fr\ {en,de,cs},cs\ {en,de,fr}}
CELL="${OPTION[cell]:-lstm}"
[[ "$CELL" == lstm || "$CELL" == mi_lstm ]] || usage_error "--cell: expected lstm or mi_lstm, got $CELL"
MULTI30K="$(find_data multi30k "$DATA_FOLDER" {train,valid,test_2016_flickr}.{"$SOURCE","$TARGET"}.gz)"
MODEL="${OPTION[folder]:-run/multi30k-$SOURCE-$TARGET-$CELL}"
export MULTI30K SOURCE TARGET CELL
tests=()
for test in test_2016_flickr test_2017_flickr; do # Czech has no translation of the second
    [[ -f "$MULTI30K/$test.$SOURCE.gz" && -f "$MULTI30K/$test.$TARGET.gz" ]] || continue
    tests+=("$test")
    SETTINGS=(--set "data.test.$test=['$MULTI30K/$test.$SOURCE.gz', '$MULTI30K/$test.$TARGET.gz']" "${SETTINGS[@]}")
done
SETTINGS=(--set "model.cell=$CELL" "${SETTINGS[@]}")

start
train recipes/multi30k/config.toml
score "${tests[@]}"
report "${tests[@]}"
