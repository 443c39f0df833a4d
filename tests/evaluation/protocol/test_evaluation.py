# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A whole evaluation: what it finds, and that nothing is lost or done twice on the way."""

import json
import shutil
from functools import partial

import pytest
import soundfile
from evaluating import SpectrumEmbedder, evaluation, marks
from song_files import contents

from hafm_hf.evaluation.baselines.marks import Truth
from hafm_hf.evaluation.protocol.clips import pair_songs
from hafm_hf.evaluation.protocol.contenders import NamedSystems, everywhere
from hafm_hf.evaluation.protocol.results import read_results


def test_truth_is_no_distance_away_and_follows_the_voice_as_noise_does_not(evaluated):
    results = read_results(evaluated)
    assert results["test_set"]["songs"] == 3
    assert results["test_set"]["clips"] == 6
    assert results["test_set"]["separation"]["name"] == "simulated separation leakage"
    assert results["embedder"] == "spectrum"
    truth, noise = results["systems"]["truth"], results["systems"]["noise"]
    for condition in ("isolated", "separated"):
        for kind in ("mix", "instrumental"):
            near, far = (entry["conditions"][condition]["distances"][kind] for entry in (truth, noise))
            assert near["fad"]["value"] == pytest.approx(0, abs=1e-9)
            assert far["fad"]["value"] > 0.1 and far["kad"] > near["kad"]
            assert near["embeddings"] == near["fad_infinity"]["embeddings"] == 6 * 30
            assert far["fad_infinity"]["value"] == pytest.approx(far["fad"]["value"], rel=0.3)
        prompted = truth["conditions"][condition]["prompt_adherence"]
        assert (prompted["matched"]["value"], prompted["shuffled"]["value"]) == pytest.approx((1, 0))
        followed, ignored = (entry["conditions"][condition]["adherence"]["pitch_in_chord"] for entry in (truth, noise))
        assert followed["difference"]["value"] > 0.2 > ignored["difference"]["value"]
        assert followed["matched"]["songs"] == 3
    assert truth["delta"]["mix"]["value"] == pytest.approx(0, abs=1e-9)


def test_results_are_json_that_any_reader_takes(evaluated):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    json.loads((evaluated / "results.json").read_text(), parse_constant=refuse)


class Recording(Truth):
    """Notes what it was asked for."""

    def __init__(self):
        self.asked = []

    def accompany(self, clips):
        self.asked += [clip.id for clip in clips]
        return super().accompany(clips)


def test_what_is_there_is_not_made_again(evaluated, pairs, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out")
    lost = sorted((tmp_path / "out" / "systems" / "truth" / "isolated").glob("*.wav"))[2]
    lost.unlink()
    system = Recording()
    evaluation(tmp_path / "out").run(partial(pair_songs, pairs), [everywhere(system)])  # noise is scored as well
    assert system.asked == [lost.stem]
    assert contents(tmp_path / "out") == contents(evaluated)


class CountingEmbedder(SpectrumEmbedder):
    calls = 0

    def embed(self, audio):
        self.calls += 1
        return super().embed(audio)


def test_a_folder_from_before_prompt_adherence_is_gone_on_with(evaluated, pairs, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out")
    pairings = list((tmp_path / "out" / "features").rglob("*+*"))
    for path in pairings:
        path.unlink()
    embedder = CountingEmbedder()
    evaluation(tmp_path / "out", embedder=embedder).run(partial(pair_songs, pairs), [])
    # Matched and shuffled mixes of the truth, and of two systems in two conditions.
    assert embedder.calls == len(pairings) == 2 * 6 * 5
    assert contents(tmp_path / "out") == contents(evaluated)


def test_one_folder_has_one_test_set_and_one_seed_a_system(evaluated, pairs, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out")
    songs = partial(pair_songs, pairs)
    with pytest.raises(ValueError, match="out was begun with clip_seconds 3.0, not 2.0; use the same, or choose"):
        evaluation(tmp_path / "out", clip_seconds=2.0).run(songs, marks())
    with pytest.raises(ValueError, match="truth was begun with seed 0, not 1"):
        evaluation(tmp_path / "out", seed=1).run(songs, marks())
    with pytest.raises(ValueError, match="out was begun with separation"):
        evaluation(tmp_path / "out", voice_of_mix=None).run(songs, marks())
    assert contents(tmp_path / "out") == contents(evaluated)


def test_files_of_another_system_are_scored_and_those_missing_are_listed(evaluated, pairs, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    vocals = sorted((tmp_path / "out" / "clips" / "isolated").glob("*.wav"))
    for path in vocals[:4]:
        audio, rate = soundfile.read(path)
        soundfile.write(theirs / f"{path.stem}.flac", audio[::2], rate // 2)
    (theirs / f"{vocals[4].stem}.wav").write_text("no audio")
    contender = NamedSystems(tmp_path / "pool").make(f"folder={theirs}")
    results = evaluation(tmp_path / "out").run(partial(pair_songs, pairs), [contender])
    entry = results["systems"]["theirs"]
    assert list(entry["conditions"]) == ["isolated"]  # there are no files for the other
    assert entry["conditions"]["isolated"]["clips"] == 4
    assert list(entry["conditions"]["isolated"]["missing"]) == [path.stem for path in vocals[4:]]
    assert "cannot be decoded" in entry["conditions"]["isolated"]["missing"][vocals[4].stem]
    assert entry["conditions"]["isolated"]["distances"]["mix"]["fad"]["songs"] == 2
    assert entry["delta"] is None
    assert set(results["systems"]) == {"noise", "theirs", "truth"}


def test_a_system_without_a_single_file_does_not_cost_the_others_their_scores(evaluated, pairs, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out")
    (tmp_path / "nothing").mkdir()
    contender = NamedSystems(tmp_path / "pool").make(f"folder={tmp_path / 'nothing'}")
    results = evaluation(tmp_path / "out").run(partial(pair_songs, pairs), [contender])
    isolated = results["systems"]["nothing"]["conditions"]["isolated"]
    assert isolated["clips"] == 0 and len(isolated["missing"]) == 6 and "distances" not in isolated
    assert results["systems"]["truth"] == read_results(evaluated)["systems"]["truth"]


def test_no_clip_at_all_is_one_sentence(tmp_path):
    soundfile.write(tmp_path / "0_vocals.wav", [0.0] * 64000, 16000)
    soundfile.write(tmp_path / "0_accompaniment.wav", [0.0] * 64000, 16000)
    with pytest.raises(
        ValueError, match="None of 1 songs gave a clip to test on. .*/0: No clip of it has a vocal above"
    ):
        evaluation(tmp_path / "out").run(partial(pair_songs, tmp_path), marks())
