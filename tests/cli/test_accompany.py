# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm accompany`: the files it writes, how they can be made again, and what it says when something is wrong."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file
from transformers import BertConfig, BertModel, pipeline
from waveforms import noise, tone

from hafm_hf import TASK, __version__
from hafm_hf.cli.accompany import output_stems
from hafm_hf.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The folder in which the command runs, with a vocal of 0.1 s in it."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("vocal.wav", (tone(0.1, 44100, 2, 220) + noise(0.1, 44100, 2, 0.02)).T, 44100)
    return tmp_path


@pytest.fixture
def accompany(checkpoint, capsys):
    """Runs the command with the tiny checkpoint: exit code, standard output, standard error."""

    def run(*arguments: str, model: str = checkpoint) -> tuple[int, str, str]:
        exit_code = main(["accompany", *arguments, "--model", model, "--device", "cpu"])
        return exit_code, *capsys.readouterr()

    return run


def names(folder="out") -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


# -- What it writes ----------------------------------------------------------------------------------------------------


def test_files(accompany):
    exit_code, out, err = accompany("vocal.wav", "--seed", "7")
    assert (exit_code, err) == (0, "")
    assert names() == {"vocal.accompaniment.wav", "vocal.mix.wav", "vocal.json"}
    assert out.splitlines()[:2] == ["out/vocal.accompaniment.wav", "out/vocal.mix.wav"] and "seed 7" in out
    for kind in ("accompaniment", "mix"):
        waveform, rate = soundfile.read(f"out/vocal.{kind}.wav")
        assert (waveform.shape, rate) == ((2400,), 24000) and np.ptp(waveform) > 0


def test_record(accompany, checkpoint):
    accompany("vocal.wav", "-o", "deep/out", "--seed", "7", "--top-k", "5")
    record = json.loads(Path("deep/out/vocal.json").read_text())
    assert record["accompaniment"] == "deep/out/vocal.accompaniment.wav"
    assert (record["vocal"], record["seed"], record["take"], record["takes"]) == ("vocal.wav", 7, 1, 1)
    assert (record["seconds"], record["sampling_rate"]) == (0.1, 24000)
    assert (record["device"], record["dtype"]) == ("cpu", "float32")
    settings = {"do_sample": True, "temperature": 0.9, "top_k": 5, "guidance_scale": 3.0}
    contexts = {"semantic": 0.2, "coarse": 0.12, "fine": 0.0}
    assert record["sampling"] == {name: settings | {"context_seconds": seconds} for name, seconds in contexts.items()}
    assert record["model"] == checkpoint and record["checkpoint"].startswith("sha256:")
    assert record["versions"]["hafm-hf"] == __version__ and {"python", "torch", "transformers"} <= set(
        record["versions"]
    )


def test_the_record_is_enough_to_make_the_files_again(accompany):
    accompany("vocal.wav", "--take", "2", "--seconds", "0.08", "--temperature", "0.7", "--guidance-scale", "2")
    record = json.loads(Path("out/vocal.take2.json").read_text())
    again = pipeline(TASK, model=record["model"], device=record["device"], dtype=record["dtype"])
    sampling = {
        f"{stage}_{name}": value for stage, settings in record["sampling"].items() for name, value in settings.items()
    }
    take = again(record["vocal"], takes=record["takes"], seconds=record["seconds"], seed=record["seed"], **sampling)[
        record["take"] - 1
    ]
    for kind, waveform in (("accompaniment", take["audio"]), ("mix", take["mix"])):
        expected, _ = soundfile.read(record[kind], dtype="int32")
        soundfile.write("again.wav", waveform, record["sampling_rate"], subtype="PCM_24")
        assert np.array_equal(soundfile.read("again.wav", dtype="int32")[0], expected)


def test_a_seed_gives_identical_files(accompany):
    accompany("vocal.wav", "-o", "first")
    seed = json.loads(Path("first/vocal.json").read_text())["seed"]
    accompany("vocal.wav", "-o", "second", "--seed", str(seed))
    for name in ("vocal.accompaniment.wav", "vocal.mix.wav"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()


def test_takes_and_json(accompany):
    _, out, _ = accompany("vocal.wav", "--take", "2", "--json")
    kinds = ("accompaniment.wav", "mix.wav", "json")
    assert names() == {f"vocal.take{number}.{kind}" for number in (1, 2) for kind in kinds}
    records = [json.loads(line) for line in out.splitlines()]
    assert records == [json.loads(Path(f"out/vocal.take{number}.json").read_text()) for number in (1, 2)]
    assert Path(records[0]["mix"]).read_bytes() != Path(records[1]["mix"]).read_bytes()


def test_temperature_0_and_guidance_1_are_settings_not_errors(accompany):
    for seed in ("1", "2"):
        exit_code, _, _ = accompany(
            "vocal.wav", "--temperature", "0", "--guidance-scale", "1", "--top-k", "0", "--seed", seed, "-o", seed
        )
        assert exit_code == 0
    assert Path("1/vocal.mix.wav").read_bytes() == Path("2/vocal.mix.wav").read_bytes()
    sampling = json.loads(Path("1/vocal.json").read_text())["sampling"]["fine"]
    assert not sampling["do_sample"] and (sampling["guidance_scale"], sampling["top_k"]) == (1, 0)


def test_picture(accompany):
    from matplotlib.image import imread

    _, out, _ = accompany("vocal.wav", "--picture")
    assert "out/vocal.png" in out.splitlines()
    height, width, _ = imread("out/vocal.png").shape
    assert width > 1000 and height > 800
    assert json.loads(Path("out/vocal.json").read_text())["picture"] == "out/vocal.png"


def test_stream_is_the_accompaniment_as_wav(checkpoint, capsysbinary):
    soundfile.write("long.wav", tone(0.5, 24000)[0], 24000)
    main(["accompany", "long.wav", "--model", checkpoint, "--device", "cpu", "--seed", "7", "--stream"])
    out, err = capsysbinary.readouterr()
    streamed, rate = soundfile.read(io.BytesIO(out))
    written, _ = soundfile.read("out/long.accompaniment.wav")
    assert rate == 24000 and streamed.shape == written.shape == (12000,)
    assert np.abs(streamed - written).max() < 1 / 32768
    assert b"out/long.mix.wav" in err
    main(["accompany", "long.wav", "--model", checkpoint, "--device", "cpu", "--seed", "7", "-o", "called"])
    for kind in ("accompaniment", "mix"):
        called, streamed = (soundfile.read(f"{folder}/long.{kind}.wav")[0] for folder in ("called", "out"))
        assert np.abs(called - streamed).max() < 1e-5


def test_vocals_of_the_same_name_do_not_overwrite_each_other(accompany):
    Path("other").mkdir()
    shutil.copy("vocal.wav", "other/vocal.wav")
    accompany("vocal.wav", "other/vocal.wav")
    assert {"vocal.json", "vocal-2.json"} < names()
    assert output_stems(["a.wav", "b/a.mp3", "a-2.wav", "http://host/a.ogg?x=1/y"]) == ["a", "a-2", "a-2-2", "a-3"]


# -- What it says when something is wrong ------------------------------------------------------------------------------


def assert_one_sentence(exit_code: int, err: str, *named: str):
    assert exit_code == 2
    (line,) = err.splitlines()
    assert line.startswith("hafm accompany: ") and line.endswith(".")
    assert "Traceback" not in line and all(name in line for name in named), line


def make_bad_vocals():
    Path("empty.wav").touch()
    Path("text.wav").write_text("not audio\n" * 50)
    Path("folder.wav").mkdir()
    waveform = tone(0.1, 24000)[0]
    soundfile.write("none.wav", waveform[:0], 24000)
    soundfile.write("10ms.wav", waveform[:240], 24000)
    for name, value in (("nan.wav", np.nan), ("infinite.wav", np.inf)):
        soundfile.write(name, np.where(np.arange(2400) == 7, value, waveform), 24000, subtype="FLOAT")
    soundfile.write("whole.mp3", tone(1.0, 44100)[0], 44100)
    Path("stub.mp3").write_bytes(Path("whole.mp3").read_bytes()[:150])


BAD_VOCALS = {
    "empty.wav": "empty",
    "text.wav": "cannot be decoded",
    "folder.wav": "folder",
    "none.wav": "no samples",
    "10ms.wav": "0.05 s",
    "nan.wav": "NaN",
    "infinite.wav": "infinite",
    "stub.mp3": "cannot be decoded",
    "nowhere.wav": "does not exist",
    "http://127.0.0.1:9/voice.wav": "cannot be downloaded",
}


def test_a_bad_vocal_costs_one_sentence_and_only_its_own_files(accompany):
    make_bad_vocals()
    exit_code, out, err = accompany(*BAD_VOCALS, "vocal.wav")
    assert exit_code == 2
    for line, (name, reason) in zip(err.splitlines(), BAD_VOCALS.items(), strict=True):
        assert_one_sentence(exit_code, line, name, reason)
    assert names() == {"vocal.accompaniment.wav", "vocal.mix.wav", "vocal.json"}


def test_truncated_mp3_is_used_as_far_as_it_goes(accompany):
    soundfile.write("whole.mp3", tone(1.0, 44100)[0], 44100)
    Path("half.mp3").write_bytes(Path("whole.mp3").read_bytes()[:4000])
    exit_code, _, _ = accompany("half.mp3")
    assert exit_code == 0 and 0.1 < json.loads(Path("out/half.json").read_text())["seconds"] < 0.9


def test_silence_and_eight_channels_are_accompanied(accompany):
    soundfile.write("silence.wav", np.zeros(4800), 48000)
    soundfile.write("eight.wav", tone(0.1, 48000, 8, 50, 0.1).T, 48000)
    exit_code, _, err = accompany("silence.wav", "eight.wav")
    assert (exit_code, err) == (0, "")
    assert len(soundfile.read("out/silence.mix.wav")[0]) == len(soundfile.read("out/eight.mix.wav")[0]) == 2400


@pytest.mark.parametrize(
    "arguments, named",
    [
        ("--take 0", "`takes` is 0"),
        ("--seconds 0", "`seconds` is 0"),
        ("--seconds 0.01", "`seconds` is 0.01"),
        ("--guidance-scale 0.5", "`guidance_scale` is 0.5"),
        ("--temperature -1", "`temperature` is -1"),
        ("--top-k -1", "`top_k` is -1"),
        ("--device gpu", "gpu"),
        ("--stream --json", "--stream"),
        ("--stream --take 2", "--stream"),
        ("-o vocal.wav", "vocal.wav cannot be the output folder"),
        ("-o vocal.wav/out", "vocal.wav/out cannot be the output folder"),
    ],
)
def test_bad_arguments(checkpoint, capsys, arguments, named):
    # The second vocal is bad as well: an argument is complained about once, and before anything is read.
    exit_code = main(
        ["accompany", "vocal.wav", "nowhere.wav", "--model", checkpoint, "--device", "cpu", *arguments.split()]
    )
    assert_one_sentence(exit_code, capsys.readouterr().err, named)
    assert not Path("out").exists() or names() == set()


def test_a_picture_without_matplotlib(accompany, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_one_sentence(*accompany("vocal.wav", "--picture")[::2], "matplotlib", "pip install")
    assert names() == set()


# -- Bad checkpoints ---------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(checkpoint) -> Path:
    shutil.copytree(checkpoint, "copy")
    return Path("copy")


def test_checkpoint_that_is_none(accompany):
    BertModel(
        BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained("bert")
    Path("bare").mkdir()
    cases = {
        "bert": "its config.json says bert",
        "bare": "bare",
        "vocal.wav": "cannot be loaded",
        "/nowhere/at/all": "is not a folder",
    }
    for model, reason in cases.items():
        assert_one_sentence(*accompany("vocal.wav", model=model)[::2], model, reason)


@pytest.mark.parametrize(
    "file, tensor",
    [("model.safetensors", "coarse.lm_heads.0.weight"), ("audio_tokenizer/model.safetensors", "centroids")],
)
def test_checkpoint_with_a_missing_or_misshaped_tensor(accompany, copied, file, tensor):
    tensors = load_file(copied / file)
    save_file(tensors | {tensor: tensors[tensor][:5]}, copied / file, {"format": "pt"})
    assert_one_sentence(*accompany("vocal.wav", model="copy")[::2], "copy", f"{tensor} has the shape (5, 32)")
    del tensors[tensor]
    save_file(tensors, copied / file, {"format": "pt"})
    assert_one_sentence(*accompany("vocal.wav", model="copy")[::2], "copy", f"{tensor} is missing")


@pytest.mark.parametrize("file", ["model.safetensors", "audio_tokenizer/model.safetensors"])
def test_checkpoint_with_damaged_weights(accompany, copied, file):
    (copied / file).write_bytes((copied / file).read_bytes()[:5000])
    assert_one_sentence(*accompany("vocal.wav", model="copy")[::2], "copy", "damaged weight file")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "processor_config.json", "audio_tokenizer"])
def test_checkpoint_with_a_missing_part(accompany, copied, file):
    shutil.rmtree(copied / file) if file == "audio_tokenizer" else (copied / file).unlink()
    assert_one_sentence(*accompany("vocal.wav", model="copy")[::2], "copy")


def test_checkpoint_with_a_faulty_configuration(accompany, copied):
    config = json.loads((copied / "config.json").read_text())
    config["coarse_config"]["conditioning_vocab_size"] = 7
    (copied / "config.json").write_text(json.dumps(config))
    assert_one_sentence(*accompany("vocal.wav", model="copy")[::2], "copy", "conditioning_vocab_size")
    (copied / "config.json").write_text("{")
    assert_one_sentence(*accompany("vocal.wav", model="copy")[::2], "copy", "config.json")
