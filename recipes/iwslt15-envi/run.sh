#!/usr/bin/env bash
# Train and score an English-Vietnamese model: bash recipes/iwslt15-envi/run.sh en vi [DATA_FOLDER]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

USAGE="usage: bash recipes/iwslt15-envi/run.sh SOURCE TARGET [DATA_FOLDER] [OPTION]...
  SOURCE TARGET           en vi or vi en
  DATA_FOLDER             holds iwslt15-envi/, or is it; \$NMT_DATA if not given"

parse_arguments "" "$@"
take_pair "en vi" "vi en"
IWSLT15="$(find_data iwslt15-envi "$DATA_FOLDER" {train,valid}.{en,vi}.gz)"
MODEL="${OPTION[folder]:-run/iwslt15-$SOURCE-$TARGET}"
export IWSLT15 SOURCE TARGET
export TEXT="run/iwslt15-data"

start
for language in en vi; do # there is no third set: the end of the training text becomes the validation set
    derive "$IWSLT15/train.$language.gz" "$TEXT/train.$language.gz" head -n -1000
    derive "$IWSLT15/train.$language.gz" "$TEXT/valid.$language.gz" tail -n 1000
done
train recipes/iwslt15-envi/config.toml
score tst2012
report tst2012
