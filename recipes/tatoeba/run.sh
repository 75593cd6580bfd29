#!/usr/bin/env bash
# Train and score a Tatoeba model: bash recipes/tatoeba/run.sh de en [DATA_FOLDER]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

USAGE="usage: bash recipes/tatoeba/run.sh SOURCE TARGET [DATA_FOLDER] [OPTION]...
  SOURCE TARGET           de en, en de, fr en or en fr
  DATA_FOLDER             holds tatoeba-deen/ or tatoeba-fren/, or is it; \$NMT_DATA if not given"

parse_arguments "" "$@"
take_pair "de en" "en de" "fr en" "en fr"
corpus=tatoeba-deen
[[ "$SOURCE $TARGET" != *fr* ]] || corpus=tatoeba-fren
TATOEBA="$(find_data "$corpus" "$DATA_FOLDER" {train,valid,test}.{"$SOURCE","$TARGET"}.gz)"
MODEL="${OPTION[folder]:-run/tatoeba-$SOURCE-$TARGET}"
export TATOEBA SOURCE TARGET

start
train recipes/tatoeba/config.toml
score test
report test
