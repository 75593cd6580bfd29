#!/usr/bin/env bash
# Two text files in, a translation model out: bash recipes/your-pair/run.sh corpus.de corpus.en
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

USAGE="usage: bash recipes/your-pair/run.sh SOURCE TARGET [OPTION]...
       bash recipes/your-pair/run.sh PAIRS.tsv [OPTION]...
  SOURCE, TARGET          text and its translation, line by line; plain or .gz, UTF-8
  PAIRS.tsv               or one file with a tab between the two; plain or .gz
  --source-language CODE  if the names do not say it (corpus.de, corpus.de.gz: de)
  --target-language CODE"

# name_without_gz PATH
name_without_gz() {
    basename "${1%.gz}"
}

# language_of PATH OPTION: what the name ends in
language_of() {
    local name suffix
    name="$(name_without_gz "$1")" suffix=
    [[ "$name" != *.* ]] || suffix="${name##*.}"
    case "$suffix" in
        "" | txt | src | tgt | ref | tsv | csv | *[!A-Za-z_-]* | ????????*)
            usage_error "$1: the name does not end in a language; give --$2 CODE, such as de"
            ;;
    esac
    printf '%s\n' "$suffix"
}

parse_arguments "source-language target-language" "$@"
((${#WORDS[@]} == 1 || ${#WORDS[@]} == 2)) || usage_error "expected two text files or one .tsv file (--help tells more)"
corpus=()
for path in "${WORDS[@]}"; do
    [[ -f "$path" ]] || usage_error "$path: no such file"
    corpus+=("$(absolute "$path")")
done
if ((${#corpus[@]} == 1)); then
    [[ "$(name_without_gz "$path")" == *.tsv ]] || usage_error "$path: expected a second file, or one that ends in .tsv or .tsv.gz"
    SOURCE="${OPTION[source-language]:-src}" TARGET="${OPTION[target-language]:-tgt}"
else
    SOURCE="${OPTION[source-language]:-}" TARGET="${OPTION[target-language]:-}"
    [[ -n "$SOURCE" ]] || SOURCE="$(language_of "${corpus[0]}" source-language)"
    [[ -n "$TARGET" ]] || TARGET="$(language_of "${corpus[1]}" target-language)"
    [[ "$SOURCE" != "$TARGET" ]] || usage_error "expected two languages, got $SOURCE twice; give --source-language and --target-language"
fi
name="$(name_without_gz "${corpus[0]}")"
FOLDER="${OPTION[folder]:-run/your-pair-${name%%.*}-$SOURCE-$TARGET}"
MODEL="$FOLDER/model"
export FOLDER
start

say "1/5 splitting the corpus"
python recipes/your-pair/split.py "$FOLDER/data" "${corpus[@]}"

say "2/5 choosing settings"
choice="$(python recipes/your-pair/choose.py "$FOLDER/data")"
mapfile -t choice <<<"$choice"
chosen=()
for setting in "${choice[@]:1}"; do
    chosen+=(--set "$setting")
done
SETTINGS=("${chosen[@]}" "${SETTINGS[@]}") # the user's come last and win

say "3/5 training (Ctrl-C stops; the same command goes on)"
train "${choice[0]}"

say "4/5 translating and scoring the test lines"
score test
report test

say "5/5 what this means"
python recipes/your-pair/explain.py "$FOLDER" "$MODEL/test.$TARGET.txt"

nmt="nmt"
[[ "${NMT_INSTALL:-yes}" = no ]] || nmt="${VIRTUAL_ENV#"$PROJECT/"}/bin/nmt"
printf -v again '%q ' bash recipes/your-pair/run.sh "${corpus[@]}" --source-language "$SOURCE" --target-language "$TARGET"
printf -v folder '%q' "$FOLDER"
cat <<TEXT

What you can do now, in $PROJECT:
  translate a file       $nmt translate $folder/model --input FILE --output TRANSLATION
  type sentences         $nmt translate $folder/model
  see what it is         $nmt info $folder/model
  train longer           $again--folder $folder --set training.epochs=N --minutes N
  other settings         $again--folder $folder-2 --set model.dropout=0.3
TEXT
