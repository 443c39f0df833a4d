# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Fits the centroids of the semantic tokens (paper, section 3.2) on HuBERT frames of vocals and instrumentals alike.

The frames are those that the tokenizer will see: of clips that pass the filters, vocals with their noise. Every song gives
as many as any other. They lie on disk, so that memory grows neither with the songs nor with the frames.
"""

import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.numpy import save
from sklearn.cluster import MiniBatchKMeans
from torch import nn
from tqdm.auto import tqdm

from hafm_hf.data.clips import Clip, ClipCutter, separate_to_mono
from hafm_hf.data.corpora import Song
from hafm_hf.data.filters import ClipFilter, Report
from hafm_hf.data.launch import join_processes, survey
from hafm_hf.data.resume import keep_settings, replacing, write_json, writing_to
from hafm_hf.data.separation import Separator
from hafm_hf.data.tokenize import noise_seed, tokenizer_digest
from hafm_hf.modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer
from hafm_hf.modeling.processing_hafm import HafmProcessor
from hafm_hf.provenance import versions


PARTS = ("vocal", "instrumental")
FRAMES_AT_ONCE = 10_000


@dataclass(frozen=True)
class CentroidFit:
    """Samples frames of songs, fits centroids, and saves the processor with them.

    The folder `output` receives the processor, `kmeans.json` (the settings) and `kmeans_report.json`.

    Args:
        output: The folder, which may be that of the processor itself; one that an earlier run left unfinished is completed.
        separator: What gives the pair of a song.
        processor: Whose HuBERT gives the frames and whose centroids are replaced.
        num_clusters: Number of centroids.
        max_songs: How many songs are looked at, chosen at random.
        max_frames: How many frames are wanted, half of them of vocals. Short songs may have fewer to give.
        seed: Of all random choices.
        clip_filter: Which clips count.
        clip_seconds: Length of a clip.
        min_clip_seconds: Length of the shortest clip, and so of the shortest song.
    """

    output: Path
    separator: Separator
    processor: HafmProcessor
    num_clusters: int = 500
    max_songs: int = 1000
    max_frames: int = 1_000_000
    seed: int = 0
    clip_filter: ClipFilter = ClipFilter()
    clip_seconds: float = 10.0
    min_clip_seconds: float = 3.0

    def __post_init__(self):
        if min(self.num_clusters, self.max_songs, self.max_frames) < 1:
            raise ValueError("The numbers of clusters, songs and frames must be 1 or more.")

    def run(self, list_songs: Callable[[], Iterable[Song]]) -> dict[str, Any]:
        """Fit on the songs that `list_songs` gives, which must be the same whenever it is called. Every process of a
        launch calls this; they share the songs, and the main process fits.

        Returns:
            What `kmeans_report.json` holds: the number of `frames` of each part; `inertia`, the mean squared distance of a
            frame to its centroid, and `inertia_of_one_cluster` to compare it with; `perplexity`, the number of clusters
            in use, of each part and of both; `unused_clusters`; and which `songs` were read and skipped.

        Raises:
            ValueError: There are no songs or too few frames in them, `output` was begun with other songs or settings, or
                it cannot be written.
        """
        cutter = ClipCutter(self.processor.audio_tokenizer.config, self.clip_seconds, self.min_clip_seconds)
        state = join_processes()
        self.processor.audio_tokenizer.to(state.device)
        songs = survey(list_songs())
        # The old centroids, which may be random, shall make no difference.
        replace_centroids(self.processor.audio_tokenizer, torch.zeros(self.num_clusters, self._hidden_size))
        report = self.output / "kmeans_report.json"
        with writing_to(self.output):
            with state.main_process_first():
                if state.is_main_process:
                    self._begin(songs)
            if not report.exists():
                files = self._sample(list_songs(), songs["count"], cutter, state)
                state.wait_for_everyone()
                with state.main_process_first():
                    if state.is_main_process:
                        self._fit(files, report)
        return json.loads(report.read_text(encoding="utf-8"))

    @property
    def _hidden_size(self) -> int:
        return self.processor.audio_tokenizer.config.semantic_model_config.hidden_size

    @property
    def _unfinished(self) -> Path:
        return self.output / ".unfinished"

    def _begin(self, songs: dict[str, Any]) -> None:
        settings = {
            "songs": songs,
            "separator": {"name": self.separator.name, "parameters": self.separator.parameters},
            "tokenizer_without_centroids": tokenizer_digest(self.processor),
            "num_clusters": self.num_clusters,
            "max_songs": self.max_songs,
            "max_frames": self.max_frames,
            "seed": self.seed,
            "clip_filter": asdict(self.clip_filter),
            "clip_seconds": float(self.clip_seconds),
            "min_clip_seconds": float(self.min_clip_seconds),
        }
        keep_settings(self.output / "kmeans.json", settings, {"versions": versions()})

    def _sample(self, songs: Iterable[Song], count: int, cutter: ClipCutter, state: PartialState) -> list[Path]:
        """Write the frames of every chosen song to a file, the songs of this process at least, and list all files."""
        chosen = np.random.default_rng(self.seed).choice(count, min(self.max_songs, count), replace=False)
        quota = math.ceil(self.max_frames / len(PARTS) / len(chosen))
        files = {index: self._unfinished / f"{index:08d}.safetensors" for index in sorted(chosen.tolist())}
        share = set(list(files)[state.process_index :: state.num_processes])
        with tqdm(total=len(share), desc="Songs", unit="song", disable=not state.is_main_process) as progress:
            for index, song in enumerate(songs):
                if index in share:
                    if not files[index].exists():
                        self._sample_song(files[index], song, cutter, quota, np.random.default_rng([self.seed, index]))
                    progress.update()
        return list(files.values())

    def _sample_song(
        self, file: Path, song: Song, cutter: ClipCutter, quota: int, generator: np.random.Generator
    ) -> None:
        """Write up to `quota` frames `[frames, hidden_size]` of each part: those of whole clips, drawn at random."""
        pair = separate_to_mono(song, self.separator, cutter)
        skipped = pair if isinstance(pair, str) else ""
        clips = [] if skipped else list(cutter.cut(song, pair))
        features = {part: np.empty((0, self._hidden_size), np.float32) for part in PARTS}
        for choice in generator.permutation(len(clips)):
            if len(features["vocal"]) >= quota:
                break
            if not self.clip_filter.reason_to_drop(*cutter.levels(clips[choice], self.clip_filter)):
                for part in PARTS:
                    features[part] = np.concatenate([features[part], self._features(clips[choice], part)])
        features = {part: generator.permutation(features[part])[:quota] for part in PARTS}
        with replacing(file) as opened:
            opened.write(save(features, metadata={"song": song.id, "skipped": skipped}))

    def _features(self, clip: Clip, part: str) -> np.ndarray:
        """HuBERT frames `[frames, hidden_size]` of one part of a clip, as the tokenizer computes them."""
        noise = self.processor.noise_std if part == "vocal" else 0.0
        inputs = self.processor.semantic_inputs([getattr(clip, part)], noise, [noise_seed(clip.id)])
        return self.processor.audio_tokenizer.semantic_features(**inputs)[0].cpu().numpy()

    def _fit(self, files: list[Path], report: Path) -> None:
        frames, rows, songs = gather(files, self._unfinished / "frames.npy")
        if len(frames) < self.num_clusters:
            raise ValueError(
                f"{self.num_clusters} clusters need at least as many frames, but the songs give {len(frames)}; add songs."
            )
        centroids = fit_centroids(frames, self.num_clusters, self.seed)
        use = cluster_use(frames, rows, centroids)
        replace_centroids(self.processor.audio_tokenizer, torch.from_numpy(centroids))
        # Saved aside first: `output` may be the folder that the weights in memory are mapped from.
        saved = self._unfinished / "processor"
        self.processor.save_pretrained(saved)
        for path in [path for path in saved.rglob("*") if path.is_file()]:
            target = self.output / path.relative_to(saved)
            target.parent.mkdir(exist_ok=True)
            os.replace(path, target)
        write_json(report, use | {"songs": asdict(songs)})
        shutil.rmtree(self._unfinished)


def gather(files: Iterable[Path], path: Path) -> tuple[np.ndarray, dict[str, np.ndarray], Report]:
    """Join files of frames into one array on disk, at `path`.

    Returns:
        All frames `[frames, hidden_size]`, which of them are of each part, and the report of the songs they are from.
    """
    parts, report = [], Report()
    for file in files:
        with safe_open(file, framework="numpy") as opened:
            parts += [(file, part, opened.get_slice(part).get_shape()) for part in PARTS]
            report.songs += 1
            if opened.metadata()["skipped"]:
                report.skip(opened.metadata()["song"], opened.metadata()["skipped"])
    total, hidden_size = sum(shape[0] for *_, shape in parts), parts[0][2][1]
    frames = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(total, hidden_size))
    which, start = {part: np.zeros(total, bool) for part in PARTS}, 0
    for file, part, (length, _) in parts:
        with safe_open(file, framework="numpy") as opened:
            frames[start : start + length] = opened.get_tensor(part)
        which[part][start : start + length] = True
        start += length
    return frames, which, report


def fit_centroids(frames: np.ndarray, num_clusters: int, seed: int = 0) -> np.ndarray:
    """Centroids `[num_clusters, hidden_size]` of `frames` `[frames, hidden_size]`, `float32`, which may lie on disk.

    The settings are those usual for units of HuBERT (Hsu et al., 2021; fairseq).
    """
    kmeans = MiniBatchKMeans(
        num_clusters,
        init="k-means++",
        batch_size=10_000,
        max_iter=100,
        max_no_improvement=100,
        n_init=20,
        reassignment_ratio=0.0,
        compute_labels=False,
        random_state=seed,
        verbose=1,
    )
    with tqdm(desc="k-means", unit="step") as progress, redirect_stdout(_Steps(progress)):
        kmeans.fit(frames)
    return kmeans.cluster_centers_.astype(np.float32)


class _Steps(io.TextIOBase):
    """Shows as a bar what scikit-learn prints of its progress, the only way it has to tell."""

    def __init__(self, progress: tqdm):
        self.progress = progress

    def write(self, text: str) -> int:
        if step := re.match(r"(?:Init|Minibatch step) (\d+)/(\d+)", text):
            self.progress.n, self.progress.total = int(step[1]), int(step[2])
            self.progress.refresh()
        return len(text)


def cluster_use(frames: np.ndarray, which: dict[str, np.ndarray], centroids: np.ndarray) -> dict[str, Any]:
    """How well `centroids` `[num_clusters, hidden_size]` stand for `frames` `[frames, hidden_size]`.

    Args:
        which: Masks `[frames]` that pick the frames of each part.

    Returns:
        `frames`, `inertia`, `inertia_of_one_cluster`, `perplexity` and `unused_clusters`, see [`CentroidFit`].
    """
    clusters, distance = np.empty(len(frames), np.int64), 0.0
    total, squares = np.zeros(frames.shape[1]), 0.0
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        chunk = np.array(frames[first : first + FRAMES_AT_ONCE])
        nearest, ids = torch.cdist(torch.from_numpy(chunk), torch.from_numpy(centroids)).min(dim=1)
        clusters[first : first + FRAMES_AT_ONCE] = ids
        distance += nearest.double().square().sum().item()
        total += chunk.sum(axis=0, dtype=np.float64)
        squares += np.square(chunk).sum(dtype=np.float64)
    counts = {part: np.bincount(clusters[mask], minlength=len(centroids)) for part, mask in which.items()}
    counts["all"] = np.bincount(clusters, minlength=len(centroids))
    return {
        "frames": {part: int(count.sum()) for part, count in counts.items()},
        "inertia": distance / len(frames),
        "inertia_of_one_cluster": float(squares / len(frames) - np.square(total / len(frames)).sum()),
        "perplexity": {part: _perplexity(count) for part, count in counts.items()},
        "unused_clusters": int((counts["all"] == 0).sum()),
    }


def _perplexity(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def replace_centroids(tokenizer: HafmAudioTokenizer, centroids: torch.Tensor) -> None:
    """Give `tokenizer` other centroids `[num_clusters, hidden_size]`, and with them another number of semantic tokens."""
    tokenizer.config.num_clusters = len(centroids)
    tokenizer.centroids = nn.Buffer(centroids.to(tokenizer.device, torch.float32))
