#!/usr/bin/env bash
# Two text files in, a translation model out: bash recipes/your-pair/run.sh corpus.de corpus.en
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
run_recipe your_pair.py "$@"
