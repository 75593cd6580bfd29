#!/usr/bin/env bash
# Train and score an English-Japanese model: bash recipes/small-enja/run.sh en ja [DATA_FOLDER]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

USAGE="usage: bash recipes/small-enja/run.sh SOURCE TARGET [DATA_FOLDER] [OPTION]...
  SOURCE TARGET           en ja or ja en
  DATA_FOLDER             holds small-enja/, or is it; \$NMT_DATA if not given"

parse_arguments "" "$@"
take_pair "en ja" "ja en"
ENJA="$(find_data small-enja "$DATA_FOLDER" {train,valid,test}.{en,ja}.gz)"
MODEL="${OPTION[folder]:-run/small-enja-$SOURCE-$TARGET}"
export SOURCE TARGET
export TEXT="run/small-enja-data"

start
for split in train valid test; do
    derive "$ENJA/$split.en.gz" "$TEXT/$split.en.gz" cat
    derive "$ENJA/$split.ja.gz" "$TEXT/$split.ja.gz" tr -d ' ' # Japanese is written without blanks
done
train recipes/small-enja/config.toml
score test
report test
