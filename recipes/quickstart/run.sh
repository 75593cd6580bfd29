#!/usr/bin/env bash
# From nothing to a trained, measured translation model in a few minutes: `bash recipes/quickstart/run.sh [SEED]`.
# Needs no data. A second run goes on where the first one stopped. Another SEED draws another corpus and other initial
# weights, in a folder of its own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$PROJECT"

seed="${1:-1}"
[[ $# -le 1 && "$seed" =~ ^[0-9]{1,9}$ ]] || fail "expected a whole number, the seed, or nothing; got: $*"
recipe=recipes/quickstart
folder=run/quickstart
settings=()
if [ "$seed" != 1 ]; then
    folder="run/quickstart-$seed"
    settings=(--set "folder=$folder/model" --set "training.seed=$seed")
    for split in train valid test; do
        key="data.${split/#test/test.test}" # a test set has a name: test, too
        settings+=(--set "$key=['$folder/data/$split.de', '$folder/data/$split.en']")
    done
fi
data="$folder/data"
model="$folder/model"
output="$folder/test.translated"

use_environment recipes

maker="$(sha256sum "$recipe"/*.py | sha256sum)"
if [ "$(cat "$data/.made-by" 2>/dev/null || true)" = "$maker" ]; then
    say "1/4 the corpus is there: $data"
else
    say "1/4 making a corpus of German and English numbers, dates, times and amounts"
    mkdir -p "$data"
    python "$recipe/make_corpus.py" --seed "$seed" "$data"
    printf '%s\n' "$maker" >"$data/.made-by"
fi

say "2/4 training (about seven minutes on one core or two; Ctrl-C stops, the same command goes on)"
nmt train "$recipe/config.toml" ${settings[@]+"${settings[@]}"}

say "3/4 translating and scoring lines whose values never occur in training"
nmt evaluate "$model" --test test --output "$output"
python "$recipe/report.py" "$data" "$output"

say "4/4 translating a few sentences"
examples=(
    'Der Vertrag wurde am Montag, dem 3. Mai 1886 unterzeichnet.'
    'In Ziffern: dreihundertzwölftausendvierhundertsechs'
    'Wir treffen uns um halb acht am Bahnhof.'
    'Das kostet 1.249,50 €.'
)
translations="$(printf '%s\n' "${examples[@]}" | nmt translate "$model")"
paste -d '\n' <(printf '  %s\n' "${examples[@]}") <(sed 's/^/    /' <<<"$translations")

nmt="$(command -v nmt)"
cat <<TEXT

The model is in $model. Translate lines of your own with
    ${nmt#"$PROJECT/"} translate $model < FILE
and see every setting with
    ${nmt#"$PROJECT/"} config
TEXT
