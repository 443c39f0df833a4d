#!/usr/bin/env bash
# Every step from a folder of songs to an accompaniment, small enough for two CPU cores and some minutes:
#   runs/smoke.sh SONGS [OUT]
# What comes out runs and is good for nothing else. Stopped, it goes on where it was when started again.
set -euo pipefail

songs=${1:?usage: runs/smoke.sh SONGS [OUT]}
out=${2:-runs/out/smoke}
hafm=${HAFM:-$(dirname "$0")/../.venv/bin/hafm}
vocal=$(dirname "$0")/../examples/vocadito_10.flac
tiny=$(dirname "$0")/../hafm_hf/checkpoints/hafm-tiny

# 1. One k-means codebook for voices and instrumentals, over the small HuBERT that ships with the package.
"$hafm" fit-kmeans "$songs" --tokenizer "$tiny" --separator repet --max-frames 20000 -o "$out/tokenizer"

# 2. Mixtures to separated, filtered, tokenised clips.
"$hafm" prepare "$songs" --tokenizer "$out/tokenizer" --separator repet --min-clip-seconds 2 -o "$out/data"

# 3. The three stages.
for stage in semantic coarse fine; do
  "$hafm" train "recipes/hafm-smoke/$stage.yaml" --train_data "$out/data" --output_dir "$out/$stage"
done

# 4. One checkpoint, and what it plays.
[ -e "$out/checkpoint" ] || "$hafm" assemble -o "$out/checkpoint" --processor "$out/tokenizer" \
  --semantic "$out/semantic" --coarse "$out/coarse" --fine "$out/fine"
"$hafm" accompany "$vocal" --model "$out/checkpoint" --seconds 3 -o "$out"
