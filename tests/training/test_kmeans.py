# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Fitting the centroids of the semantic tokens."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from song_files import contents, write_stems

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.data.clips import ClipCutter
from hafm_hf.data.corpora import load_pair, stem_folder_songs
from hafm_hf.data.filters import ClipFilter
from hafm_hf.data.separation import PrecomputedStems
from hafm_hf.data.tokenize import noise_seed, tokenize_clips
from hafm_hf.training.kmeans import CentroidFit, cluster_use, fit_centroids, replace_centroids


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Three songs of 2 s and an empty one."""
    root = write_stems(tmp_path_factory.mktemp("songs") / "songs", count=4)
    (root / "3" / "band.wav").write_bytes(b"")
    return partial(stem_folder_songs, root)


def fit(output, songs, processor=None, separator=None, **settings):
    settings = {"num_clusters": 8, "clip_seconds": 0.8, "min_clip_seconds": 0.4} | settings
    processor = processor or HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)
    return CentroidFit(output, separator or PrecomputedStems(), processor, **settings).run(songs)


@pytest.fixture(scope="module")
def fitted(songs, tmp_path_factory):
    output = tmp_path_factory.mktemp("fitted") / "tokenizer"
    return output, fit(output, songs)


class Stopped(Exception):
    """What stops a run."""


class StopAfter(PrecomputedStems):
    """Stems at hand, until so many songs are taken."""

    def __init__(self, songs):
        super().__init__()
        self.left = songs

    def separate_song(self, song):
        if self.left == 0:
            raise Stopped
        self.left -= 1
        return super().separate_song(song)


def blobs(clusters=20, per_cluster=200, size=6):
    generator = np.random.default_rng(0)
    centers = 10 * generator.standard_normal((clusters, size)).astype(np.float32)
    frames = np.repeat(centers, per_cluster, axis=0)
    return centers, frames + 0.1 * generator.standard_normal(frames.shape).astype(np.float32)


def test_centroids_are_the_middles_of_clusters_that_are_there(tmp_path):
    centers, frames = blobs()
    np.save(tmp_path / "frames.npy", frames)
    centroids = fit_centroids(np.load(tmp_path / "frames.npy", mmap_mode="r"), len(centers))
    assert centroids.dtype == np.float32
    distances = np.linalg.norm(centers[:, None] - centroids, axis=-1)
    assert distances.min(axis=1).max() < 0.1
    np.testing.assert_array_equal(centroids, fit_centroids(frames, len(centers)))


def test_the_use_of_clusters_is_counted_for_each_part():
    centers, frames = blobs(clusters=4, per_cluster=25, size=3)
    centroids = np.concatenate([centers, [[1000.0] * 3]]).astype(np.float32)
    first = np.arange(100) < 25
    use = cluster_use(frames, {"vocal": first, "instrumental": ~first}, centroids)
    assert use["frames"] == {"vocal": 25, "instrumental": 75, "all": 100}
    assert use["perplexity"] == pytest.approx({"vocal": 1.0, "instrumental": 3.0, "all": 4.0})
    assert use["unused_clusters"] == 1
    assert use["inertia"] == pytest.approx(3 * 0.1**2, rel=0.3)
    assert use["inertia_of_one_cluster"] == pytest.approx(
        np.square(frames - frames.mean(axis=0)).sum() / 100, rel=1e-4
    )


def test_the_processor_that_comes_out_has_the_centroids_and_all_else_as_before(fitted):
    output, report = fitted
    before, after = (HafmProcessor.from_pretrained(folder) for folder in (DEFAULT_CHECKPOINT, output))
    assert after.audio_tokenizer.centroids.shape == (8, before.audio_tokenizer.centroids.shape[1])
    assert after.audio_tokenizer.config.num_clusters == 8
    old, new = before.audio_tokenizer.state_dict(), after.audio_tokenizer.state_dict()
    assert old.keys() == new.keys()
    assert [name for name in old if not torch.equal(old[name], new[name])] == ["centroids"]
    assert report == json.loads((output / "kmeans_report.json").read_text())
    assert not (output / ".unfinished").exists()


def test_it_fits_on_the_very_frames_that_are_tokenised(fitted, songs):
    output, report = fitted
    processor = HafmProcessor.from_pretrained(output)
    cutter = ClipCutter(processor.audio_tokenizer.config, 0.8, 0.4)
    counts, total = np.zeros(8), 0.0
    for song in list(songs())[:3]:
        for clip in cutter.cut(song, cutter.mono(load_pair(song))):
            batch = {"id": [clip.id], "vocal": [clip.vocal], "instrumental": [clip.instrumental]}
            columns = tokenize_clips(batch, processor)
            for part, noise in (("vocal", processor.noise_std), ("instrumental", 0.0)):
                ids = columns[f"{part}_semantic"][0]
                counts += np.bincount(ids, minlength=8)
                inputs = processor.semantic_inputs([getattr(clip, part)], noise, [noise_seed(clip.id)])
                features = processor.audio_tokenizer.semantic_features(**inputs)[0]
                total += (features - processor.audio_tokenizer.centroids[ids]).square().sum().item()
    shares = counts[counts > 0] / counts.sum()
    assert report["frames"] == {"vocal": 300, "instrumental": 300, "all": 600}
    assert report["perplexity"]["all"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert report["inertia"] == pytest.approx(total / 600, rel=1e-3)
    assert report["inertia"] < report["inertia_of_one_cluster"]
    assert report["songs"]["songs"] == 4
    assert "is empty" in report["songs"]["skipped"]["songs/3"]


def test_songs_and_frames_are_bounded_and_shared_evenly(songs, tmp_path):
    report = fit(tmp_path / "frames", songs, max_frames=80)
    assert report["frames"] == {"vocal": 30, "instrumental": 30, "all": 60}  # the empty song has none to give
    report = fit(tmp_path / "songs", songs, max_songs=2, seed=1)
    assert report["songs"]["songs"] == 2


def test_clips_that_the_filters_drop_do_not_count(songs, tmp_path):
    with pytest.raises(ValueError, match="8 clusters need at least as many frames, but the songs give 0"):
        fit(tmp_path / "out", songs, clip_filter=ClipFilter(min_instrumental_db=0))


def test_stopped_and_started_again_it_ends_the_same(fitted, songs, tmp_path):
    for _ in range(2):
        with pytest.raises(Stopped):
            fit(tmp_path / "out", songs, separator=StopAfter(1))
    fit(tmp_path / "out", songs, separator=StopAfter(2))  # the other two of four
    assert contents(tmp_path / "out") == contents(fitted[0])
    fit(tmp_path / "out", songs, separator=StopAfter(0))  # finished: nothing is separated again


def test_the_centroids_from_before_make_no_difference(fitted, songs, tmp_path):
    processor = HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)
    replace_centroids(processor.audio_tokenizer, torch.randn(33, 32))
    fit(tmp_path / "out", songs, processor)
    assert contents(tmp_path / "out") == contents(fitted[0])


def test_a_processor_may_be_fitted_in_its_own_folder(fitted, songs, tmp_path):
    shutil.copytree(DEFAULT_CHECKPOINT, tmp_path / "checkpoint")
    fit(tmp_path / "checkpoint", songs, HafmProcessor.from_pretrained(tmp_path / "checkpoint"))
    weights = "audio_tokenizer/model.safetensors"
    assert (tmp_path / "checkpoint" / weights).read_bytes() == (fitted[0] / weights).read_bytes()
    assert (tmp_path / "checkpoint" / "model.safetensors").exists()


def test_work_does_not_go_on_with_other_settings(fitted, songs, tmp_path):
    shutil.copytree(fitted[0], tmp_path / "out")
    with pytest.raises(ValueError, match="begun with num_clusters 8, not 9"):
        fit(tmp_path / "out", songs, num_clusters=9)


@pytest.mark.parametrize("name", ["num_clusters", "max_songs", "max_frames"])
def test_numbers_below_one_are_refused(songs, tmp_path, name):
    with pytest.raises(ValueError, match="must be 1 or more"):
        fit(tmp_path / "out", songs, **{name: 0})
