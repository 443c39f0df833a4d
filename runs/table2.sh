#!/usr/bin/env bash
# The paper's Table 2 in miniature: hafm-tiny beside a SingSong of its size that was trained as long on the same songs,
# Retrieval among those songs, and the ends of the scale.
#   runs/table2.sh [OUT]
# Needs the extras [train], [eval] and [band]; takes some three hours on two CPU cores. Stopped, it goes on where it was
# when started again.
set -euo pipefail

out=${1:-runs/out/table2}
bin=${BIN:-$(dirname "$0")/../.venv/bin}
tiny=$(dirname "$0")/../hafm_hf/checkpoints/hafm-tiny
export OMP_NUM_THREADS=1  # one thread a process, two processes a step
two=("$bin/accelerate" launch --multi_gpu --num_processes 2 -m hafm_hf.cli)

# 1. The songs that hafm-tiny was trained on, and as tokens.
"$bin/hafm" render-band -o "$out/band" --split train --songs 700 --processes 2
"$bin/hafm" render-band -o "$out/band" --split validation --songs 40 --processes 2
for split in train validation; do
  "${two[@]}" prepare "$out/band/$split" --corpus stems --separator precomputed --tokenizer "$tiny" -o "$out/data/$split"
done

# 2. SingSong.
"${two[@]}" train recipes/singsong-tiny/seq2seq.yaml --train_data "$out/data/train" --eval_data "$out/data/validation" \
  --per_device_train_batch_size 4 --output_dir "$out/seq2seq"
[ -e "$out/singsong-tiny" ] || "$bin/hafm" assemble -o "$out/singsong-tiny" --seq2seq "$out/seq2seq" --base "$tiny"

# 3. All of them on songs that none has seen, given isolated vocals and vocals with what a separation might leave.
"${two[@]}" evaluate --band 200 --clips-per-song 1 --batch-size 16 --model "$tiny" \
  --system singsong="$out/singsong-tiny" --system retrieval="$out/band/train" --system random="$out/band/train" \
  --system truth --system codec --system noise -o "$out/evaluation"
