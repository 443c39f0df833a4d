# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Whole songs through a tiny composite whose windows are 20, 18 and 9 frames long, so that half a second takes several.

Its weights are large enough for every token to hang on the ones before it and on the conditioning.
"""

import gc
import io
import math

import pytest
import torch
from live_bytes import LiveBytes
from make_golden import make_model
from tqdm.auto import tqdm
from transformers.cache_utils import Cache

from hafm_hf.modeling import generation_song_hafm
from hafm_hf.modeling.configuration_hafm import HafmCoarseConfig, HafmConfig, HafmFineConfig, HafmSemanticConfig
from hafm_hf.modeling.decoding_hafm import StageDecoder
from hafm_hf.modeling.generation_hafm import SeededSamplingLogitsProcessor, deinterleave_codes, interleave_codes
from hafm_hf.modeling.generation_song_hafm import Song, conditioning_span
from hafm_hf.modeling.modeling_hafm import HafmModel


# Frames (start, first new, end) and conditioning frames of every window of a vocal of 31 frames.
WINDOWS = {
    "semantic": [((0, 0, 20), (0, 20)), ((10, 20, 30), (10, 30)), ((20, 30, 31), (20, 31))],
    "coarse": [
        ((0, 0, 18), (0, 12)),
        ((9, 18, 27), (6, 18)),
        ((18, 27, 36), (12, 24)),
        ((27, 36, 45), (18, 30)),
        ((36, 45, 47), (24, 31)),
    ],
    "fine": [((start, start, min(start + 9, 47)), (start, min(start + 9, 47))) for start in range(0, 47, 9)],
}


@pytest.fixture(scope="module")
def model() -> HafmModel:
    return make_model()


@pytest.fixture(scope="module")
def flat_model() -> HafmModel:
    """Every token equally likely whatever came before: its codes show the random numbers alone."""
    model = make_model()
    with torch.no_grad():
        for stage in model.stages.values():
            for head in stage.lm_heads:
                head.weight.zero_()
    return model


@pytest.fixture
def calls(model, monkeypatch) -> list[tuple[str, int, int]]:
    """`(stage, rows, new tokens of each row)` of every call of a stage's `generate`."""
    calls = []

    def record(name, generate):
        def recorded(**kwargs):
            sequences = generate(**kwargs)
            calls.append((name, len(sequences), sequences.shape[1] - kwargs["input_ids"].shape[1]))
            return sequences

        return recorded

    for name, stage in model.stages.items():
        monkeypatch.setattr(stage, "generate", record(name, stage.generate))
    return calls


def make_vocals(*lengths: int) -> dict[str, torch.Tensor]:
    """Random vocals of these many frames, padded to the longest with a token outside the vocabulary."""
    generator = torch.Generator().manual_seed(2)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(23, mask.shape, generator=generator)
    return {"vocal_semantic_ids": ids.where(mask, -1), "conditioning_mask": mask.long()}


def test_windows_are_passes_of_the_stages_with_the_context_carried(model):
    """The whole song again, window by window, straight from `generate` of each stage."""
    vocal = make_vocals(31)["vocal_semantic_ids"]
    settings = {"temperature": 0, "guidance_scale": 2.0}
    streams = {"vocal_semantic_ids": vocal}
    for name, stage in model.stages.items():
        config, codes = stage.config, None
        for (start, first_new, end), (first, last) in WINDOWS[name]:
            tokens = torch.tensor([[config.bos_token_id]])
            if first_new > start:
                tokens = torch.cat([tokens, interleave_codes(codes[:, :, start:first_new])], dim=1)
            output = stage.generate(
                input_ids=tokens,
                **{source: streams[source][..., first:last] for source in config.conditioning_sources},
                max_new_tokens=(end - first_new) * config.num_codebooks,
                **settings,
            )
            new = deinterleave_codes(output[:, tokens.shape[1] :], config.num_codebooks)
            codes = new if codes is None else torch.cat([codes, new], dim=-1)
        streams[stage.prediction_name] = codes.squeeze(1)

    output = model.generate(vocal, **settings)
    assert torch.equal(output.instrumental_semantic_ids, streams["instrumental_semantic_ids"])
    assert torch.equal(output.codes, torch.cat([streams["coarse_ids"], streams["fine_ids"]], dim=1))


def test_the_past_reaches_the_next_window_through_the_carried_context_only(model):
    vocals = make_vocals(30)["vocal_semantic_ids"].repeat(2, 1)
    vocals[1, :10] = (vocals[1, :10] + 7) % 23  # the second window hears frames 10 to 30
    for seconds, carried in {0.2: True, 0.0: False}.items():
        output = model.generate(vocals, seed=0, semantic_context_seconds=seconds, num_return_sequences=4)
        first, second = output.instrumental_semantic_ids.split(4)
        assert not torch.equal(first[:, :20], second[:, :20])
        assert torch.equal(first[:, 20:], second[:, 20:]) != carried


def test_streamed_pieces_grow_into_the_whole(model, calls):
    vocals = make_vocals(31, 22)
    whole = model.generate(**vocals, num_return_sequences=2, seed=1)
    calls.clear()
    end = 0
    for piece in model.stream(**vocals, num_return_sequences=2, seed=1):
        if end == 0:
            assert [name for name, *_ in calls] == ["semantic", "coarse", "fine"]  # one window of each
        assert piece.start == end
        end = int(piece.lengths.max())
        assert end > piece.start
        assert torch.equal(piece.codes, whole.codes[:, :, :end])
        assert piece.lengths.tolist() == whole.lengths.clamp(max=end).tolist()
        assert piece.seed == 1
        assert piece.instrumental_semantic_ids is None
        assert torch.is_grad_enabled()  # for whoever listens
    assert torch.equal(piece.codes, whole.codes)


def test_a_batch_gives_what_each_vocal_gives_alone(model):
    lengths = [31, 22, 13]
    vocals = make_vocals(*lengths)
    batch = model.generate(**vocals, num_return_sequences=2, seed=3)
    assert batch.lengths.tolist() == [47, 47, 33, 33, 20, 20]
    for row, frames in enumerate(lengths):
        vocal = vocals["vocal_semantic_ids"][row : row + 1, :frames]
        alone = model.generate(vocal, num_return_sequences=2, seed=3)
        acoustic = alone.codes.shape[-1]
        takes = slice(2 * row, 2 * row + 2)
        assert torch.equal(batch.codes[takes, :, :acoustic], alone.codes)
        assert batch.codes[takes, :, acoustic:].eq(0).all()
        assert torch.equal(batch.instrumental_semantic_ids[takes, :frames], alone.instrumental_semantic_ids)
        assert batch.instrumental_semantic_ids[takes, frames:].eq(0).all()


def test_padding_may_come_first(model):
    vocals = make_vocals(8, 5)
    left = {name: torch.stack([rows[0], rows[1].roll(3)]) for name, rows in vocals.items()}
    assert torch.equal(model.generate(**vocals, seed=3).codes, model.generate(**left, seed=3).codes)


@pytest.mark.parametrize("max_batch_size", [1, 3])
def test_the_batch_size_does_not_change_the_codes(model, calls, max_batch_size):
    vocals = make_vocals(20, 13)
    whole = model.generate(**vocals, num_return_sequences=2, seed=4)
    calls.clear()
    assert torch.equal(
        model.generate(**vocals, num_return_sequences=2, seed=4, max_batch_size=max_batch_size).codes, whole.codes
    )
    assert max(rows for _, rows, _ in calls) == max_batch_size


@pytest.mark.parametrize(("windows", "together"), [(2.5, 2), (0.5, 1)])
def test_the_batch_size_comes_from_the_memory_at_hand(model, calls, monkeypatch, windows, together):
    # Keys and values of 2 layers, 16 numbers each, of 9 conditioning and 27 prediction positions, in 2 rows.
    window_bytes = 2 * 2 * 16 * (9 + 27) * 2 * 4
    monkeypatch.setattr(generation_song_hafm, "free_memory", lambda device: int(2 * windows * window_bytes))
    model.generate(**make_vocals(20), seed=4)
    assert max(rows for name, rows, _ in calls if name == "fine") == together


def test_a_song_ten_times_as_long_takes_no_more_memory_than_its_tokens(model):
    peaks = {}
    for frames in (40, 400):
        with LiveBytes() as memory:
            output = model.generate(**make_vocals(frames), seed=4, max_batch_size=2)
        peaks[frames] = memory.peak
    tokens = 8 * (output.codes.numel() + 2 * 400)  # the codes and both semantic streams
    assert peaks[40] > 100_000, "keys and values alone"
    # Held by the take, put together for the output, and what padding and masks are made of.
    assert peaks[400] - peaks[40] < 5 * tokens


def test_free_memory_is_some_and_not_more_than_there_is():
    assert 2**20 < generation_song_hafm.free_memory(torch.device("cpu")) < 2**46


@pytest.mark.parametrize("settings", [{}, {"context_seconds": 0.08}])
def test_all_fine_windows_run_together(model, calls, settings):
    """They carry no context, whatever the other stages do."""
    model.generate(**make_vocals(31, 22), num_return_sequences=2, seed=0, **settings)
    assert [call for call in calls if call[0] == "fine"] == [("fine", 2 * (6 + 4), 9 * 3)]


def test_no_token_is_generated_twice(model, calls):
    model.generate(**make_vocals(31), seed=0)
    assert sum(tokens for name, _, tokens in calls if name == "semantic") == 31
    assert sum(tokens for name, _, tokens in calls if name == "coarse") == 47 * 2


def test_three_acoustic_frames_for_two_semantic_ones(model):
    output = model.generate(**make_vocals(1, 2, 3, 4), seed=0)
    assert output.lengths.tolist() == [2, 3, 5, 6]
    assert output.codes.shape == (4, 5, 6)
    assert output.instrumental_semantic_ids.shape == (4, 4)


def test_a_seed_gives_the_same_codes_again(model):
    vocal = make_vocals(8)["vocal_semantic_ids"]
    first = model.generate(vocal, seed=5, num_return_sequences=3)
    assert torch.equal(model.generate(vocal, seed=5, num_return_sequences=3).codes, first.codes)
    assert torch.equal(model.generate(vocal, seed=5).codes, first.codes[:1])
    assert not torch.equal(model.generate(vocal, seed=6).codes, first.codes[:1])
    assert not torch.equal(first.codes[0], first.codes[1])
    assert not torch.equal(first.codes[1], first.codes[2])


def test_each_vocal_may_have_a_seed_of_its_own(model):
    vocal = make_vocals(8)["vocal_semantic_ids"]
    together = model.generate(torch.cat([vocal, vocal]), seed=[5, 6], num_return_sequences=2)
    apart = [model.generate(vocal, seed=seed, num_return_sequences=2).codes for seed in (5, 6)]
    assert torch.equal(together.codes, torch.cat(apart)) and together.seed == [5, 6]
    with pytest.raises(ValueError, match="There are 3 seeds for 2 vocals"):
        model.generate(torch.cat([vocal, vocal]), seed=[5, 6, 7])


def test_without_a_seed_torch_draws_one_and_it_is_reported(model):
    vocal = make_vocals(8)["vocal_semantic_ids"]
    torch.manual_seed(0)
    first, second = model.generate(vocal), model.generate(vocal)
    assert first.seed != second.seed
    assert torch.equal(model.generate(vocal, seed=second.seed).codes, second.codes)
    torch.manual_seed(0)
    assert model.generate(vocal).seed == first.seed


def test_randomness_belongs_to_the_place_in_the_song_not_to_the_window(flat_model):
    vocal = make_vocals(31)["vocal_semantic_ids"]
    carried, independent = (flat_model.generate(vocal, seed=0, **kw) for kw in ({}, {"context_seconds": 0.0}))
    assert torch.equal(carried.codes, independent.codes)
    assert torch.equal(carried.instrumental_semantic_ids, independent.instrumental_semantic_ids)


def test_stages_and_takes_and_seeds_have_random_numbers_of_their_own(flat_model):
    vocal = make_vocals(31)["vocal_semantic_ids"]
    output, other = (flat_model.generate(vocal, seed=seed, num_return_sequences=2) for seed in (0, 1))
    coarse = interleave_codes(output.codes[:, :2])
    fine = interleave_codes(output.codes[:, 2:])[:, : coarse.shape[1]]
    for one, two in [(coarse, fine), (output.codes[0], output.codes[1]), (output.codes, other.codes)]:
        assert (one == two).float().mean() < 0.12  # 1 in 31 by chance, 94 to 470 tokens


def test_arguments_go_to_all_stages_or_to_the_one_named(model):
    vocal = make_vocals(8)["vocal_semantic_ids"]
    greedy = model.generate(vocal, temperature=0, seed=0)
    assert torch.equal(model.generate(vocal, temperature=0, seed=1).codes, greedy.codes)
    mixed = model.generate(vocal, temperature=1.3, semantic_temperature=0, seed=0)
    assert torch.equal(mixed.instrumental_semantic_ids, greedy.instrumental_semantic_ids)
    assert not torch.equal(mixed.codes[:, :2], greedy.codes[:, :2])
    mixed = model.generate(vocal, coarse_top_k=1, fine_top_k=1, semantic_temperature=0, seed=0)
    assert torch.equal(mixed.codes, greedy.codes)
    mixed = model.generate(vocal, temperature=0, fine_guidance_scale=8.0)
    assert torch.equal(mixed.codes[:, :2], greedy.codes[:, :2])
    assert not torch.equal(mixed.codes[:, 2:], greedy.codes[:, 2:])


@pytest.mark.parametrize("method", ["generate", "stream"])
@pytest.mark.parametrize(
    ("vocals", "kwargs", "message"),
    [
        ([[0, 23]], {}, r"\[0, 23\); got 0 to 23"),
        ([[0, -1]], {}, "got -1 to 0"),
        ([0, 1], {}, r"shape \(2,\)"),
        ([[]], {}, "empty"),
        ([[0, 1], [2, 3]], {"conditioning_mask": torch.tensor([[1, 1], [0, 0]])}, "empty"),
        ([[0, 1]], {"conditioning_mask": torch.ones(1, 3)}, r"\(1, 2\) and \(1, 3\)"),
        ([[0, 1]], {"temprature": 1.0}, "temprature"),
        ([[0, 1]], {"fine_temprature": 1.0}, "temprature"),
        ([[0, 1]], {"guidance_scale": 0.5}, "guidance_scale"),
        ([[0, 1]], {"semantic_context_seconds": 0.4}, "`context_seconds` is 0.4 in windows of 0.4 s"),
        ([[0, 1]], {"coarse_context_seconds": 0.02}, "grid common to both frame rates"),
        ([[0, 1]], {"context_seconds": -0.04}, "-0.04"),
    ],
)
def test_errors_come_before_any_work(model, calls, method, vocals, kwargs, message):
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(torch.tensor(vocals, dtype=torch.long), **kwargs)
    assert not calls


@pytest.mark.parametrize("method", ["generate", "stream"])
@pytest.mark.parametrize(("progress", "is_terminal"), [(True, True), (True, False), (False, True)])
def test_progress_counts_every_token_on_a_terminal_only(model, monkeypatch, method, progress, is_terminal):
    stderr, bars = io.StringIO(), []
    stderr.isatty = lambda: is_terminal

    class Bar(tqdm):
        def __init__(self, **kwargs):
            super().__init__(**kwargs | {"file": stderr, "delay": 0})
            bars.append(self)

    monkeypatch.setattr(generation_song_hafm, "tqdm", Bar)
    list(getattr(model, method)(**make_vocals(13, 8), seed=0, progress=progress))
    if progress and is_terminal:
        assert bars[0].total == bars[0].n == 21 + (20 + 12) * 5
        assert "semantic" in stderr.getvalue()
    else:
        assert stderr.getvalue() == ""


def test_nothing_but_codes_is_kept(model):
    def caches() -> int:
        gc.collect()
        return sum(issubclass(type(item), (Cache, StageDecoder)) for item in gc.get_objects())

    before = caches()
    pieces = model.stream(**make_vocals(13), seed=0)
    next(pieces)
    assert caches() == before
    assert list(pieces)
    assert caches() == before


@pytest.fixture(scope="module")
def paper_windows() -> HafmModel:
    """Windows of 10, 5 and 3 seconds."""
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    stages = {"semantic": HafmSemanticConfig, "coarse": HafmCoarseConfig, "fine": HafmFineConfig}
    return HafmModel(HafmConfig(**{f"{name}_config": config(**shape) for name, config in stages.items()}))


@pytest.mark.parametrize("frames", [1, 2, 3, 499, 500, 501, 1003, 12000])
@pytest.mark.parametrize("order", [("semantic", "coarse", "fine"), ("fine", "coarse", "semantic")])
def test_windows_of_long_songs_cover_every_frame_once(paper_windows, monkeypatch, frames, order):
    song = Song(paper_windows, torch.zeros(1, frames, dtype=torch.long), seed=0)
    done = {"vocal_semantic_ids": frames, "instrumental_semantic_ids": 0, "coarse_ids": 0, "fine_ids": 0}
    planned = {name: len(windows) for name, windows in song.pending.items()}

    def generate(name, windows, bar):
        """In place of the stage: checks that a window has all it needs and follows the one before."""
        stage = paper_windows.stages[name]
        config = stage.config
        for window in windows:
            first, last = conditioning_span(config, window)
            assert first * config.frame_rate == window.start * config.conditioning_frame_rate
            assert 0 <= first < last <= min(done[source] for source in config.conditioning_sources)
            assert last - first <= config.conditioning_window_frames
            assert window.start <= window.first_new == done[stage.prediction_name] < window.end
            assert window.end - window.start <= config.window_frames
            done[stage.prediction_name] = window.take.done[stage.prediction_name] = window.end

    monkeypatch.setattr(song, "_generate", generate)
    for _ in song.run(order):
        pass
    acoustic = math.ceil(frames * 1.5)
    assert done == {
        "vocal_semantic_ids": frames,
        "instrumental_semantic_ids": frames,
        "coarse_ids": acoustic,
        "fine_ids": acoustic,
    }
    if frames == 12000:  # four minutes
        assert planned == {"semantic": 47, "coarse": 95, "fine": 80}


def draw(logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """One token for each pair of seed and position."""
    sampler = SeededSamplingLogitsProcessor(seeds, positions)
    scores = sampler(torch.zeros(len(seeds), 1, dtype=torch.long), logits.expand(len(seeds), -1))
    assert ((scores == 0).sum(dim=1) == 1).all() and ((scores == -math.inf).sum(dim=1) == len(logits) - 1).all()
    return scores.argmax(dim=1)


def chi_square(observed: torch.Tensor, expected: torch.Tensor) -> float:
    return ((observed - expected) ** 2 / expected).sum().item()


PROBABILITIES = torch.tensor([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
MANY = torch.arange(20000)
ONE = torch.zeros_like(MANY)


@pytest.mark.parametrize(("seeds", "positions"), [(MANY, ONE + 3), (ONE + 3, MANY), (MANY % 100, MANY // 100)])
@pytest.mark.parametrize("top_k", [6, 3])
def test_sampled_tokens_follow_the_distribution(seeds, positions, top_k):
    logits = PROBABILITIES.log() + 1.7  # any constant
    logits[top_k:] = -math.inf
    counts = draw(logits, seeds, positions).bincount(minlength=6)
    expected = logits.softmax(dim=0) * len(MANY)
    assert counts[top_k:].eq(0).all()
    assert chi_square(counts[:top_k], expected[:top_k]) < {6: 25.7, 3: 18.4}[top_k]  # p = 0.0001


@pytest.mark.parametrize(
    ("seed_step", "position_step"), [(0, 1), (0, 4), (0, 1024), (1, 0), (1, 1), (1, -1), (0x9E3779B1, 0)]
)
def test_neighbouring_draws_are_independent(seed_step, position_step):
    logits = PROBABILITIES.log()
    for seeds, positions in [(MANY, ONE + 3000), (ONE + 5, MANY + 3000)]:
        first = draw(logits, seeds, positions)
        second = draw(logits, seeds + seed_step, positions + position_step)
        pairs = (first * 6 + second).bincount(minlength=36)
        expected = torch.outer(PROBABILITIES, PROBABILITIES).flatten() * len(MANY)
        assert chi_square(pairs, expected) < 80  # 35 degrees of freedom, p = 0.00002


def test_a_draw_does_not_depend_on_the_rows_beside_it():
    logits = PROBABILITIES.log()
    together = draw(logits, MANY % 7, MANY)
    order = torch.randperm(len(MANY), generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(logits, MANY[order] % 7, MANY[order]), together[order])
    assert torch.equal(draw(logits, MANY[50:60] % 7, MANY[50:60]), together[50:60])
