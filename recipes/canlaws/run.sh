#!/usr/bin/env bash
# Train and score a model of Canadian law: bash recipes/canlaws/run.sh en fr [DATA_FOLDER]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

USAGE="usage: bash recipes/canlaws/run.sh SOURCE TARGET [DATA_FOLDER] [OPTION]...
  SOURCE TARGET           en fr or fr en
  DATA_FOLDER             holds canlaws-enfr/, or is it; \$NMT_DATA if not given"

parse_arguments "" "$@"
take_pair "en fr" "fr en"
CANLAWS="$(find_data canlaws-enfr "$DATA_FOLDER" {train,valid,test}.{en,fr}.gz)"
MODEL="${OPTION[folder]:-run/canlaws-$SOURCE-$TARGET}"
export CANLAWS SOURCE TARGET

start
train recipes/canlaws/config.toml
score test
report test
