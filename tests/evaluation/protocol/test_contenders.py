# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import pytest
from song_files import write_stems
from transformers import pipeline

from hafm_hf import TASK
from hafm_hf.evaluation.protocol.contenders import ARGUMENTS, NamedSystems, checkpoint_contender


@pytest.fixture
def named(tmp_path):
    return NamedSystems(tmp_path / "pool")


@pytest.mark.parametrize("text", ["nosuch", "", "retrieval", "random=", "folder", "singsong", "make=truth"])
def test_a_name_that_is_none_gives_all_that_are(named, text):
    with pytest.raises(ValueError, match="There is no system .*; choose from truth, codec, noise, random=SONGS, retr"):
        named.make(text)


def test_every_short_name_can_be_made_or_says_what_is_missing(named, tmp_path):
    songs = write_stems(tmp_path / "songs", count=2)
    for kind in ("truth", "codec", "noise", f"random={songs}", f"retrieval={songs}", f"folder={songs}"):
        assert named.make(kind).name == ("songs" if kind.startswith("folder") else kind.partition("=")[0])
    for kind in ("codec", "singsong"):
        with pytest.raises(ValueError, match="/nowhere holds no .* that can be reached"):
            named.make(f"{kind}=/nowhere")
    for kind in ("random", "retrieval", "folder"):
        with pytest.raises(ValueError, match="/nowhere is not a folder"):
            named.make(f"{kind}=/nowhere")
    assert {"truth", "codec", "noise", "random", "retrieval", "folder", "singsong"} == set(ARGUMENTS)


def test_a_folder_with_both_conditions_plays_both(named, tmp_path):
    for condition in ("isolated", "separated"):
        (tmp_path / "theirs" / condition).mkdir(parents=True)
    contender = named.make(f"folder={tmp_path / 'theirs'}")
    assert {condition: system.folder for condition, system in contender.systems.items()} == {
        condition: tmp_path / "theirs" / condition for condition in ("isolated", "separated")
    }
    assert {system.name for system in contender.systems.values()} == {"theirs"}


def test_another_pool_or_checkpoint_is_another_setting(named, checkpoint, tmp_path):
    pools = [write_stems(tmp_path / str(count), count) for count in (1, 2)]
    first, second = (named.make(f"random={pool}").settings for pool in pools)
    assert first != second
    contender = checkpoint_contender(pipeline(TASK, model=checkpoint, device="cpu"))
    assert contender.name == "tiny"
    assert contender.settings["checkpoint"].startswith("sha256:")
    assert contender.settings["sampling"]["coarse"]["top_k"] == 250


def test_a_guidance_is_a_contender_of_its_own_and_leaves_unguided_stages_so(checkpoint):
    accompany = pipeline(TASK, model=checkpoint, device="cpu")
    accompany.model.fine.generation_config.guidance_scale = 1.0
    plain, strong = checkpoint_contender(accompany), checkpoint_contender(accompany, 5.0)
    changes = {"semantic_guidance_scale": 5.0, "coarse_guidance_scale": 5.0}
    assert strong.name == "tiny guidance 5" and strong.settings == plain.settings | changes
    assert strong.systems["isolated"].generate_kwargs == changes
