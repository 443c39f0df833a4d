# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Songs to a dataset of aligned token columns (paper, sections 3.2 and 3.6), shared by the processes of `accelerate launch`.

Song `i` belongs to process `i % n`. While a song is in hand, its separated pair and the tokens of its finished clips lie
in the folder `.unfinished`; the main process joins songs to shards, in the order of the corpus, as soon as all those of a
shard are there. So a killed run repeats the clip in hand and no more (or the separation, where that was under way), and
which process made a song, and when, leaves no trace in the result.
"""

import itertools
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from safetensors.numpy import load_file, save
from tqdm.auto import tqdm

from hafm_hf.data.card import write_card
from hafm_hf.data.clips import Clip, ClipCutter, separate_to_mono
from hafm_hf.data.corpora import Pair, Song
from hafm_hf.data.filters import ClipFilter, Report
from hafm_hf.data.launch import join_processes, survey
from hafm_hf.data.resume import keep_settings, open_journal, read_journal, replacing, write_json, writing_to
from hafm_hf.data.separation import Separator
from hafm_hf.data.shards import read_report, write_shard
from hafm_hf.data.tokenize import tokenize_clips, tokenizer_digest
from hafm_hf.modeling.processing_hafm import HafmProcessor
from hafm_hf.provenance import versions


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """Separates songs, cuts them into clips, filters and tokenises these, and writes them to Parquet shards.

    The folder `output` receives `data/train-*.parquet`, `README.md` (the dataset card), `prepare.json` (the settings)
    and `report.json` (what was kept, dropped and skipped, and why).

    Args:
        output: The folder; one that an earlier run left unfinished is completed.
        separator: What gives the pair of a song.
        processor: What gives the tokens; its audio tokenizer is moved to the device of this process.
        clip_filter: Which clips to keep.
        clip_seconds: Length of a clip. The filters look at whole clips, the training crops within them.
        min_clip_seconds: Length of the shortest clip, and so of the shortest song.
        songs_per_shard: What bounds the size of a shard: 256 songs of 4 minutes give about 50 MB.
    """

    output: Path
    separator: Separator
    processor: HafmProcessor
    clip_filter: ClipFilter = ClipFilter()
    clip_seconds: float = 10.0
    min_clip_seconds: float = 3.0
    songs_per_shard: int = 256

    def __post_init__(self):
        if self.songs_per_shard < 1:
            raise ValueError(f"A shard of {self.songs_per_shard} songs cannot be written; give 1 or more.")

    def run(self, list_songs: Callable[[], Iterable[Song]]) -> Report:
        """Prepare all songs that `list_songs` gives, which must be the same whenever it is called.

        Every process of a launch calls this, and gets the report of all songs when the last is done. The result is the
        same byte for byte for any number of processes, provided that each computes with the same number of threads: on
        it depends the order in which floats are summed.

        Raises:
            ValueError: There are no songs, no clip was kept, `output` was begun with other songs or settings, or it
                cannot be written.
        """
        cutter = ClipCutter(self.processor.audio_tokenizer.config, self.clip_seconds, self.min_clip_seconds)
        state = join_processes()
        self.processor.audio_tokenizer.to(state.device)
        songs = survey(list_songs())
        shards = self._shards(songs["count"])
        with writing_to(self.output):
            with state.main_process_first():
                if state.is_main_process:
                    self._begin(songs, shards)
            self._prepare(list_songs(), cutter, shards, state)
            state.wait_for_everyone()
            with state.main_process_first():
                if state.is_main_process:
                    self._finish(shards)
        report = sum(map(read_report, shards), Report())
        if not report.clips.get("kept"):
            raise ValueError(f"No clip of {report.songs} songs was kept; {self.output / 'report.json'} says why.")
        return report

    def _shards(self, songs: int) -> dict[Path, range]:
        """The shards, and the indices of the songs in each."""
        indices = range(songs)
        parts = [indices[first : first + self.songs_per_shard] for first in indices[:: self.songs_per_shard]]
        name = "train-{:05d}-of-{:05d}.parquet"
        return {self.output / "data" / name.format(i, len(parts)): part for i, part in enumerate(parts)}

    def _unfinished(self, index: int, suffix: str) -> Path:
        """A file of song `index`: the journal of its clips, `.part` and when it is finished `.jsonl`, or its `.safetensors`."""
        return self.output / ".unfinished" / f"{index:08d}{suffix}"

    def _begin(self, songs: dict[str, Any], shards: Iterable[Path]) -> None:
        settings = {
            "songs": songs,
            "separator": {"name": self.separator.name, "parameters": self.separator.parameters},
            "tokenizer": tokenizer_digest(self.processor),
            "clip_filter": asdict(self.clip_filter),
            "clip_seconds": float(self.clip_seconds),
            "min_clip_seconds": float(self.min_clip_seconds),
            "songs_per_shard": self.songs_per_shard,
        }
        keep_settings(self.output / "prepare.json", settings, {"versions": versions()})
        for shard in filter(Path.exists, shards):
            try:
                read_report(shard)
            except ValueError as error:
                logger.warning(f"{error} Its songs are prepared again.")
                shard.unlink()

    def _prepare(
        self, songs: Iterable[Song], cutter: ClipCutter, shards: dict[Path, range], state: PartialState
    ) -> None:
        """Finish the songs of this process and, in the main process, whatever shards are complete."""
        songs = enumerate(songs)
        count = shards[next(reversed(shards))].stop
        share = range(state.process_index, count, state.num_processes)
        with tqdm(total=len(share), desc="Songs", unit="song", disable=not state.is_main_process) as progress:
            for shard, indices in shards.items():
                for index, song in itertools.islice(songs, len(indices)):
                    if index in share:
                        # In this order, since the main process writes a shard before it removes the journals.
                        if not (self._unfinished(index, ".jsonl").exists() or shard.exists()):
                            self._finish_song(index, song, cutter)
                        progress.update()
                if state.is_main_process:
                    self._join_songs(shards)

    def _finish_song(self, index: int, song: Song, cutter: ClipCutter) -> None:
        """Make the journal of a song: an entry for each clip, or one that says why it is skipped."""
        unfinished = self._unfinished(index, ".part")
        with open_journal(unfinished) as journal:
            pair = self._separate(index, song, cutter)
            if isinstance(pair, Pair):
                for clip in itertools.islice(cutter.cut(song, pair), len(journal), None):
                    journal.append(self._entry(clip, cutter))
            elif not len(journal):
                journal.append({"skipped": pair, "song": song.id})
        os.replace(unfinished, self._unfinished(index, ".jsonl"))
        self._unfinished(index, ".safetensors").unlink(missing_ok=True)

    def _separate(self, index: int, song: Song, cutter: ClipCutter) -> Pair | str:
        """The mono pair of a song, from an earlier run if there is one, or why it cannot be used."""
        path = self._unfinished(index, ".safetensors")
        if path.exists():
            return Pair(**load_file(path), sampling_rate=cutter.sampling_rate)
        pair = separate_to_mono(song, self.separator, cutter)
        if isinstance(pair, Pair):
            with replacing(path) as file:
                file.write(save({"vocal": pair.vocal, "instrumental": pair.instrumental}))
        return pair

    def _entry(self, clip: Clip, cutter: ClipCutter) -> dict[str, Any]:
        """The row of a clip, or why it is dropped."""
        vocal_db, instrumental_db = cutter.levels(clip, self.clip_filter)
        if reason := self.clip_filter.reason_to_drop(vocal_db, instrumental_db):
            return {"dropped": reason}
        batch = {"id": [clip.id], "vocal": [clip.vocal], "instrumental": [clip.instrumental]}
        tokens = {name: column[0].tolist() for name, column in tokenize_clips(batch, self.processor).items()}
        return {
            "id": clip.id,
            "source": clip.source,
            "license": clip.license,
            "start": clip.start,
            "duration": clip.duration,
            **tokens,
            "vocal_rms_db": vocal_db,
            "instrumental_rms_db": instrumental_db,
        }

    def _join_songs(self, shards: dict[Path, range]) -> None:
        """Write every shard whose songs are all finished."""
        for shard, indices in shards.items():
            if not shard.exists() and all(self._unfinished(index, ".jsonl").exists() for index in indices):
                journals, report = [self._unfinished(index, ".jsonl") for index in indices], Report()
                write_shard(shard, _rows(journals, report), report)
                for journal in journals:
                    journal.unlink()

    def _finish(self, shards: dict[Path, range]) -> None:
        self._join_songs(shards)
        report = sum(map(read_report, shards), Report())
        write_json(self.output / "report.json", asdict(report))
        write_card(self.output, list(shards), report)
        shutil.rmtree(self.output / ".unfinished", ignore_errors=True)


def _rows(journals: Iterable[Path], report: Report) -> Iterator[dict[str, Any]]:
    """The rows in journals of songs, while `report` counts what else they say."""
    for journal in journals:
        report.songs += 1
        for entry in read_journal(journal):
            if "skipped" in entry:
                report.skip(entry["song"], entry["skipped"])
            else:
                report.count(entry.get("dropped"))
                if "dropped" not in entry:
                    yield entry
