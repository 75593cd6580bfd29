#!/bin/bash
# The systems that benchmarks/translation.py measures beside ours: an environment for each, and models of random weights.
#
#     bash benchmarks/peers/make.sh SUBWORDS.spm [FOLDER]
#
# SUBWORDS.spm is the subword model of the folder that is to be measured: joint.spm, or source.spm. FOLDER is
# build/peers. Bergamot needs a Python 3.10: python3.10, or what BERGAMOT_PYTHON names; without one it is left out.
set -euo pipefail
subwords=$(realpath "$1")
cd "$(dirname "$0")"
folder=$(realpath -m "${2:-../../build/peers}")
unset PYTHONPATH PYTHONSAFEPATH  # the scripts here import each other, and nothing of the project
mkdir -p "$folder"

# environment NAME PYTHON: makes one, if its packages are not there yet.
environment() {
  cmp -s "$1.txt" "$folder/$1/installed.txt" && return
  rm -rf "${folder:?}/$1"
  "$2" -m venv "$folder/$1"
  "$folder/$1/bin/pip" install --quiet --only-binary :all: -r "$1.txt"
  [ "$1" != opennmt ] || "$folder/$1/bin/pip" install --quiet --no-deps OpenNMT-py==3.5.1
  cp "$1.txt" "$folder/$1/installed.txt"
}

environment ctranslate2 python3
for size in small base; do
  "$folder/ctranslate2/bin/python" with_ctranslate2.py "$folder/models/$size" --make
done
environment opennmt python3
"$folder/opennmt/bin/python" -W ignore with_opennmt.py "$folder/models/opennmt" --make
python310=${BERGAMOT_PYTHON:-python3.10}
if "$python310" -c '' 2>/dev/null; then
  environment bergamot "$python310"
  "$folder/bergamot/bin/python" with_bergamot.py "$folder/models/bergamot" --make --subwords "$subwords"
else
  echo "bergamot is left out: $python310 is no Python that runs; BERGAMOT_PYTHON=... names one" >&2
fi
