# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from waveforms import tone

from hafm_hf.evaluation.protocol.clips import Clip, ClipFolder
from hafm_hf.evaluation.report.page import most_voice, write_report
from hafm_hf.modeling.audio_hafm import write_wav


VOID = {"meta", "link", "img", "br", "line", "circle"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects text, addresses and players."""

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.addresses, self.tags = [], "", [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(evaluated):
    return Page(write_report(evaluated).read_text(encoding="utf-8"))


def test_the_page_needs_no_other_file(page, evaluated):
    assert page.addresses and all(address.startswith("data:") for address in page.addresses)
    html = (evaluated / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|https?://|<link|<script|\$\w", re.sub(r"data:[^'\"]+", "", html))


def test_the_page_shows_numbers_plots_pictures_and_players(page):
    for part in (
        "HAFM-Base (reported)",
        "noise",
        "another pipeline",
        "FAD, mixes",
        "Onset correlation",
        "Prompt adherence",
    ):
        assert part in page.text
    # Three clips: the voice once, the truth and noise as a mix and alone.
    assert page.tags.count("audio") == 3 * (1 + 2 + 2)
    assert page.tags.count("img") == 3 * 3
    assert page.tags.count("circle") > 20


def test_examples_are_clips_in_which_somebody_sings(tmp_path):
    clips, folder = [Clip(str(number), "song", 0.0, 1.0) for number in range(7)], ClipFolder(tmp_path)
    for clip in clips:
        loudness = 0.5 if clip.id in "146" else 0.1
        write_wav(folder.path("isolated", clip), tone(1.0, 24000)[0] * np.float32(loudness), 24000)
    assert [clip.id for clip in most_voice(clips, folder)] == ["1", "4", "6"]
    assert most_voice(clips[:1], folder) == clips[:1]
    assert most_voice([], folder) == []


def test_what_is_wrong_is_told_and_names_cannot_break_the_page(evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out", ignore=shutil.ignore_patterns("features"))
    path = tmp_path / "out" / "results.json"
    path.write_text(path.read_text().replace('"test songs"', '"<script>alert(1)</script>"'))
    lost = sorted((tmp_path / "out" / "systems" / "noise" / "isolated").glob("*.wav"))[0]
    lost.unlink()
    html = write_report(tmp_path / "out").read_text(encoding="utf-8")
    assert "<script>" not in html and "&lt;script&gt;" in html
    Page(html)


def test_without_results_there_is_no_page(tmp_path):
    with pytest.raises(ValueError, match="holds no results"):
        write_report(tmp_path)
