#!/usr/bin/env bash
# Train and score a model on a corpus: bash recipes/run.sh CORPUS SOURCE TARGET [DATA_FOLDER] [OPTION]...
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
run_recipe corpora.py "$@"
