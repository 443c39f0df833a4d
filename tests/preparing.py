# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Preparing data in child processes that tests kill, or that run out of disk."""

import multiprocessing
import resource
import time
from functools import partial

import torch

import hafm_hf.data.prepare
from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.data.corpora import stem_folder_songs
from hafm_hf.data.prepare import Preparation
from hafm_hf.data.separation import PrecomputedStems


# Children are forked from a process that has imported the package already, so that most of their life is work.
forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(["hafm_hf.data.prepare"])


class LoggingStems(PrecomputedStems):
    """Stems at hand, with a line in a file for each song that is begun."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def separate_song(self, song):
        note(self.log, song.id)
        return super().separate_song(song)


def note(log, text):
    with open(log, "a") as file:
        file.write(f"{text}\n")


def preparation(output, separator=None, **settings):
    settings = {"clip_seconds": 0.8, "min_clip_seconds": 0.4, "songs_per_shard": 2} | settings
    processor = HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)
    return Preparation(output, separator or PrecomputedStems(), processor, **settings)


def prepare_in_child(stems, output, log):
    """Prepare with a line in `log` for each song and each clip that is begun."""
    torch.set_num_threads(1)
    tokenize = hafm_hf.data.prepare.tokenize_clips

    def logging_tokenize(batch, processor):
        note(log, batch["id"][0])
        return tokenize(batch, processor)

    hafm_hf.data.prepare.tokenize_clips = logging_tokenize
    preparation(output, LoggingStems(log)).run(partial(stem_folder_songs, stems))


def prepare_on_a_full_disk(stems, output, log, room):
    """Prepare where no file may grow beyond `room` bytes, and write the error beside the output."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        prepare_in_child(stems, output, log)
    except ValueError as error:
        output.with_name("error").write_text(str(error)[:room])


def run_child(target, *arguments, kill_after=None):
    """Run a function in a child process, killing it after so many seconds; gives its exit code and how long it took."""
    child = forkserver.Process(target=target, args=arguments)
    started = time.monotonic()
    child.start()
    child.join(kill_after)
    if child.exitcode is None:
        child.kill()
        child.join()
    return child.exitcode, time.monotonic() - started
