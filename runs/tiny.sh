#!/usr/bin/env bash
# Makes hafm-tiny, the checkpoint that ships with the package, again from nothing but seeds:
#   runs/tiny.sh [OUT]
# Needs the extras [train] and [band]; takes some hours on two CPU cores. Stopped, it goes on where it was when started
# again. docs/LOG.md says what each step took and what came of it.
set -euo pipefail

out=${1:-runs/out/tiny}
bin=${BIN:-$(dirname "$0")/../.venv/bin}
layer=4  # of the HuBERT; see docs/LOG.md
export OMP_NUM_THREADS=1  # one thread a process: what is computed does not depend on the machine, and two run beside each other

# 1. Songs: to train on, to choose by, and to measure on at the very end.
"$bin/hafm" render-band -o "$out/band" --split train --songs 1300 --processes 2
"$bin/hafm" render-band -o "$out/band" --split validation --songs 40 --processes 2
"$bin/hafm" render-band -o "$out/band" --split test --songs 200 --processes 2

# 2. The tokenizer: a codec of accompaniments and a HuBERT of both parts, side by side.
"$bin/hafm" fit-codec "$out/band/train" --test "$out/band/validation" --name accompaniment.flac -o "$out/codec" &
"$bin/hafm" fit-hubert "$out/band/train" -o "$out/hubert"
wait $!
pair=("--corpus" stems "--separator" precomputed)
"$bin/hafm" fit-kmeans "$out/band/train" "${pair[@]}" --max-songs 100 --max-frames 120000 \
  --hubert "$out/hubert" --layer "$layer" --codec "$out/codec" -o "$out/tokenizer"
"$bin/python" "$(dirname "$0")/store_in_bfloat16.py" "$out/tokenizer"

# 3. Token columns.
for split in train validation; do
  "$bin/accelerate" launch --multi_gpu --num_processes 2 -m hafm_hf.cli prepare "$out/band/$split" "${pair[@]}" \
    --tokenizer "$out/tokenizer" -o "$out/data/$split"
done

# 4. The three stages.
for stage in semantic coarse fine; do
  "$bin/hafm" train "recipes/hafm-tiny/$stage.yaml" --train_data "$out/data/train" --eval_data "$out/data/validation" \
    --processor "$out/tokenizer" --output_dir "$out/$stage"
done

# 5. The checkpoint, and into the package.
[ -e "$out/checkpoint" ] || "$bin/hafm" assemble -o "$out/checkpoint" --processor "$out/tokenizer" \
  --semantic "$out/semantic" --coarse "$out/coarse" --fine "$out/fine"
"$bin/python" "$(dirname "$0")/ship_tiny.py" "$out/checkpoint"
