# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`pipeline("vocal-accompaniment")` takes whatever users have, and gives each vocal its own accompaniment."""

import functools
import http.server
import io
import threading
from fractions import Fraction

import numpy as np
import pytest
import soundfile
import torch
from datasets import Dataset
from transformers import BertConfig, BertModel, pipeline
from transformers.pipelines.pt_utils import KeyDataset
from waveforms import noise, tone

from hafm_hf import TASK, HafmModel, HafmPipeline, HafmProcessor, load_audio
from hafm_hf.modeling.loudness_hafm import loudness


RATE = 24000


@pytest.fixture(scope="module")
def accompany(checkpoint) -> HafmPipeline:
    return pipeline(TASK, model=checkpoint, device="cpu")


def voice(seconds=0.1, rate=RATE, channels=1, amplitude=0.1, seed=0) -> np.ndarray:
    return tone(seconds, rate, channels, 220.0 * (seed + 1), amplitude) + noise(seconds, rate, channels, 0.02, seed)


def as_input(seconds=0.1, rate=RATE, **settings) -> dict:
    return {"array": voice(seconds, rate, **settings), "sampling_rate": rate}


def encode(waveform, rate, kind) -> bytes:
    encoded = io.BytesIO()
    if kind != "m4a":
        soundfile.write(encoded, waveform.T, rate, format=kind, subtype="FLOAT" if kind == "wav" else None)
        return encoded.getvalue()
    import av

    with av.open(encoded, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(waveform, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return encoded.getvalue()


def same(one: dict, other: dict) -> bool:
    return (
        one["seed"] == other["seed"]
        and np.array_equal(one["audio"], other["audio"])
        and np.array_equal(one["mix"], other["mix"])
    )


# -- Inputs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path):
    """A folder, and the address under which its files can be downloaded."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.func.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_same_vocal_in_any_guise_gives_the_same(accompany, served):
    folder, address = served
    waveform = voice()
    path = folder / "vocal.wav"
    path.write_bytes(encode(waveform, RATE, "wav"))
    guises = [
        str(path),
        path,
        f"{address}/vocal.wav",
        path.read_bytes(),
        {"array": waveform, "sampling_rate": RATE},
        {"raw": waveform[0], "sampling_rate": RATE, "path": "vocal.wav"},
        {"id": "7", "audio": {"array": torch.from_numpy(waveform), "sampling_rate": RATE}},
        {"audio": {"bytes": path.read_bytes(), "path": None}},
        {"path": str(path)},
    ]
    expected = accompany(waveform, sampling_rate=RATE, seed=3)
    assert all(same(result, expected) for result in accompany(guises, seed=3, batch_size=4))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_file_formats(accompany, tmp_path, kind):
    path = tmp_path / f"vocal.{kind}"
    path.write_bytes(encode(voice(0.12, 44100, channels=2), 44100, kind))
    decoded = load_audio(path).waveform.shape[1]
    result = accompany(path, seed=3)
    assert len(result["audio"]) == len(result["mix"]) == round(decoded * RATE / 44100)


def test_output_is_as_long_as_the_input_to_the_sample(accompany):
    lengths = [1200, 1201, 1279, 1280, 1281, 1439, 1441, 1919, 1921, 2400, 3333, 9599, 9601, 24000]
    waveforms = [voice(length / RATE) for length in lengths]
    results = accompany([{"array": w, "sampling_rate": RATE} for w in waveforms], batch_size=len(lengths), seed=0)
    for length, waveform, result in zip(lengths, waveforms, results, strict=True):
        assert waveform.shape[1] == length
        assert result["audio"].shape == result["mix"].shape == (length,)
        assert result["audio"].dtype == result["mix"].dtype == np.float32
        assert result["sampling_rate"] == RATE
        assert np.isfinite(result["audio"]).all() and np.ptp(result["audio"]) > 0


def test_four_minutes(accompany):
    """With nothing carried from window to window all windows run together, which makes a long vocal affordable here."""
    vocal = voice(240.0)[:, :-1]
    result = accompany(vocal, sampling_rate=RATE, context_seconds=0, max_batch_size=1000, seed=0)
    assert result["audio"].shape == result["mix"].shape == (240 * RATE - 1,)
    assert np.isfinite(result["mix"]).all()


def test_any_rate_and_any_channels(accompany):
    kinds = [(8000, 1), (16000, 2), (22050, 1), (44100, 2), (48000, 8), (96000, 6)]
    results = accompany([as_input(0.0731, rate, channels=channels) for rate, channels in kinds], batch_size=6)
    assert [len(result["audio"]) for result in results] == [
        round(round(0.0731 * rate) * RATE / rate) for rate, _ in kinds
    ]


def test_channels_are_averaged(accompany):
    waveform = voice(channels=8)
    assert same(
        accompany(waveform, sampling_rate=RATE, seed=3), accompany(waveform.mean(0), sampling_rate=RATE, seed=3)
    )


def test_silence_is_accompanied(accompany):
    result = accompany(np.zeros(2400, np.float32), sampling_rate=RATE, seed=3)
    assert np.array_equal(result["mix"], result["audio"]) or np.abs(result["mix"]).max() <= 0.99
    assert np.ptp(result["audio"]) > 0


class ByIndex(torch.utils.data.Dataset):
    """Any index gives an item, so only the length tells where it ends."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index % len(self.items)]


def test_lists_give_lists_and_streams_of_vocals_give_iterators(accompany):
    vocals = [as_input(seed=seed) for seed in range(2)]
    expected = [accompany(vocal, seed=5) for vocal in vocals]
    rows = Dataset.from_list([{"audio": {**vocal, "array": vocal["array"][0].tolist()}} for vocal in vocals])
    several = {
        "list": vocals,
        "generator": (vocal for vocal in vocals),
        "PyTorch dataset": ByIndex(vocals),
        "dataset": rows,
        "streamed dataset": rows.to_iterable_dataset(),
        "column of a dataset": rows["audio"],
        "column, as transformers has it": KeyDataset(rows, "audio"),
    }
    for kind, inputs in several.items():
        outputs = accompany(inputs, seed=5)
        assert isinstance(outputs, list) == (kind == "list"), kind
        assert all(same(*pair) for pair in zip(outputs, expected, strict=True)), kind
    assert accompany([]) == []
    assert same(accompany(rows[0], seed=5), expected[0])


def test_vocals_are_read_when_their_turn_comes(accompany):
    read = []

    def vocals():
        for number in range(4):
            read.append(number)
            yield as_input()

    results = accompany(vocals(), batch_size=2)
    next(results)
    assert read == [0, 1]


# -- Bad inputs --------------------------------------------------------------------------------------------------------


def test_a_bad_vocal_does_not_lose_the_others(accompany, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("not audio\n" * 20)
    broken = as_input()
    broken["array"][0, 7] = np.nan
    good = as_input()
    expected = accompany(good, seed=5)
    for inputs in ([good, text, broken, None, good], (vocal for vocal in (good, text, broken, None, good))):
        results = list(accompany(inputs, seed=5, batch_size=2))
        assert same(results[0], expected) and same(results[4], expected)
        assert [set(result) for result in results[1:4]] == [{"error"}] * 3
        assert "text.wav" in results[1]["error"] and "NaN" in results[2]["error"]
    assert all("error" in result for result in accompany([text, text], batch_size=2))


@pytest.mark.parametrize(
    "bad, named",
    [
        ("nowhere.wav", "nowhere.wav"),
        ("..", "folder"),
        (b"", "empty"),
        (voice(), "sampling_rate="),
        ({"array": voice(), "sampling_rate": 0}, "sampling rate"),
        (as_input(0.01), "0.05 s"),
        ({"array": np.full(2400, np.inf), "sampling_rate": RATE}, "infinite"),
        (("vocal.wav",), "tuple"),
    ],
)
def test_a_bad_vocal_alone_is_an_error_of_one_sentence(accompany, bad, named):
    with pytest.raises(ValueError) as caught:
        accompany(bad)
    message = str(caught.value)
    assert named in message and message.endswith(".") and "\n" not in message


@pytest.mark.parametrize(
    "argument, value",
    [
        ("takes", 0),
        ("seconds", 0),
        ("seconds", 0.01),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("guidance_scale", 0.5),
        ("guidance_scale", float("nan")),
        ("temperature", -1.0),
        ("top_k", -1),
    ],
)
def test_arguments_out_of_range(accompany, checkpoint, argument, value):
    for inputs in (as_input(), [as_input(), "nowhere.wav"]):
        with pytest.raises(ValueError, match=f"`{argument}` is {value}"):
            accompany(inputs, **{argument: value})


def test_an_unknown_argument_is_an_error(accompany):
    with pytest.raises(ValueError, match="temprature"):
        accompany(as_input(), temprature=1.0)


def test_checkpoints_of_other_types(checkpoint, tmp_path):
    model = HafmModel.from_pretrained(checkpoint)
    model.semantic.save_pretrained(tmp_path / "stage")
    size = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    BertModel(BertConfig(num_hidden_layers=1, **size)).save_pretrained(tmp_path / "bert")
    for name in ("stage", "bert"):
        with pytest.raises(ValueError, match=f"{name} is of type .* pass a HAFM checkpoint"):
            pipeline(TASK, model=str(tmp_path / name))


def test_a_checkpoint_without_processor(checkpoint, tmp_path):
    model = HafmModel.from_pretrained(checkpoint)
    model.save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match="bare has no processor"):
        pipeline(TASK, model=str(tmp_path / "bare"))
    assert isinstance(pipeline(TASK, model=model).processor, HafmProcessor)  # found where the model came from


# -- Arguments ---------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_alone_and_in_any_batch(accompany):
    vocals = [as_input(seconds, seed=seed) for seed, seconds in enumerate((0.1, 0.25, 0.06, 0.18))]
    alone = [accompany(vocal, seed=11) for vocal in vocals]
    for batch_size in (1, 3, 4):
        together = accompany(vocals, seed=11, batch_size=batch_size)
        assert all(same(*pair) for pair in zip(together, alone, strict=True))
    assert not np.array_equal(accompany(vocals[0], seed=12)["audio"], alone[0]["audio"])


def test_the_seed_that_was_drawn_is_told(accompany):
    vocal = as_input()
    first, second = accompany(vocal), accompany(vocal)
    assert first["seed"] != second["seed"]
    assert same(accompany(vocal, seed=first["seed"]), first)


def test_takes_differ_and_the_first_is_the_single_one(accompany):
    vocal = as_input()
    takes = accompany(vocal, takes=3, seed=5)
    assert same(takes[0], accompany(vocal, seed=5))
    assert len({take["audio"].tobytes() for take in takes}) == 3
    both = accompany([vocal, "nowhere.wav", vocal], takes=2, seed=5, batch_size=3)
    assert [len(both[0]), set(both[1]), len(both[2])] == [2, {"error"}, 2]
    assert all(same(*pair) for pair in zip(both[0], takes[:2], strict=True))


def test_sampling_arguments(accompany):
    vocal = as_input(0.2)
    default = accompany(vocal, seed=5)
    greedy = accompany(vocal, seed=5, temperature=0)
    assert np.array_equal(greedy["audio"], accompany(vocal, seed=6, top_k=1)["audio"])
    for arguments in ({"guidance_scale": 1}, {"top_k": 0}, {"coarse_temperature": 0.1}, {"noise": False}):
        changed = accompany(vocal, seed=5, **arguments)["audio"]
        assert not np.array_equal(changed, default["audio"]) and not np.array_equal(changed, greedy["audio"])


def test_seconds_accompanies_the_beginning(accompany):
    vocal = as_input(0.2)
    whole = accompany({**vocal, "array": vocal["array"][:, :2400]}, seed=5)
    assert same(accompany(vocal, seed=5, seconds=0.1), whole)
    assert len(accompany(vocal, seconds=9)["audio"]) == 4800
    assert len(accompany(as_input(0.2, 11025), seconds=0.05)["audio"]) == 1200


def test_arguments_of_the_pipeline_hold_for_its_calls(accompany):
    settled = HafmPipeline(accompany.model, processor=accompany.processor, takes=2, seed=5, seconds=0.06, batch_size=2)
    vocal = as_input()
    takes = settled(vocal)
    assert [len(take["audio"]) for take in takes] == [1440, 1440] and takes[0]["seed"] == 5
    assert settled(vocal, takes=1, seed=6)["seed"] == 6
    assert same(settled([vocal, vocal])[1][1], takes[1])


# -- What comes out ----------------------------------------------------------------------------------------------------


def test_mix_is_the_vocal_with_an_accompaniment_as_loud(accompany):
    vocal = voice(0.5, amplitude=0.02)[0]
    result = accompany(vocal, sampling_rate=RATE, seed=5)
    accompaniment = result["mix"] - vocal
    assert np.corrcoef(accompaniment, result["audio"])[0, 1] > 0.9999
    assert loudness(accompaniment, RATE) == pytest.approx(loudness(vocal, RATE), abs=0.05)


def test_mix_never_clips(accompany):
    loud = np.sign(voice(0.1, amplitude=5.0)[0])
    assert np.abs(accompany(loud, sampling_rate=RATE, seed=5)["mix"]).max() <= 0.99


@pytest.mark.parametrize("arguments", [{}, {"takes": 2}, {"seconds": 0.3, "guidance_scale": 1}])
def test_streamed_pieces_joined_are_what_a_call_returns(accompany, arguments):
    vocal = as_input(0.5, 44100)
    pieces = list(accompany.stream(vocal, seed=5, **arguments))
    assert len(pieces) > 1
    joined = np.concatenate([piece["audio"] for piece in pieces], axis=-1)
    takes = accompany(vocal, seed=5, **arguments)
    expected = takes["audio"] if isinstance(takes, dict) else np.stack([take["audio"] for take in takes])
    assert joined.shape == expected.shape and np.abs(joined - expected).max() < 1e-5  # rounding of the codec
    position = 0
    for piece in pieces:
        assert (piece["start"], piece["sampling_rate"], piece["seed"]) == (position, RATE, 5)
        position += piece["audio"].shape[-1]


def test_the_next_piece_is_generated_while_one_is_used(accompany, monkeypatch):
    generated, stream = threading.Semaphore(0), accompany.model.stream

    def counted(**kwargs):
        for output in stream(**kwargs):
            generated.release()
            yield output

    monkeypatch.setattr(accompany.model, "stream", counted)
    pieces = accompany.stream(as_input(0.5), seed=5)
    next(pieces)
    assert generated.acquire(timeout=20) and generated.acquire(timeout=20)
    pieces.close()


# -- Loading -----------------------------------------------------------------------------------------------------------


def test_the_checkpoint_that_ships_with_the_package_is_the_default():
    result = pipeline(TASK)(as_input(0.06), seed=1)
    assert len(result["audio"]) == 1440


def test_a_saved_pipeline_loads_with_the_installed_class(accompany, tmp_path):
    folder = str(tmp_path / "saved")
    accompany.save_pretrained(folder)
    loaded = pipeline(TASK, model=folder, pipeline_class=HafmPipeline)
    assert type(loaded) is HafmPipeline and type(loaded.model) is HafmModel
    vocal = as_input()
    assert same(loaded(vocal, seed=5), accompany(vocal, seed=5))
    with pytest.raises(ValueError, match="trust_remote_code"):
        pipeline(TASK, model=folder, trust_remote_code=False)
    # What is trained from it and saved without the pipeline must not promise the pipeline's code.
    HafmModel.from_pretrained(folder).save_pretrained(tmp_path / "trained")
    accompany.processor.save_pretrained(tmp_path / "trained")
    assert isinstance(pipeline(TASK, model=str(tmp_path / "trained")), HafmPipeline)
