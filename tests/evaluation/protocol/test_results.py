# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import pytest

from hafm_hf.evaluation.protocol.results import REPORTED, read_results


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"systems": {}'])
def test_what_holds_no_results_says_so(tmp_path, content):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match="results.json holds no results; run .hafm evaluate. with this folder"):
        read_results(tmp_path)


def test_the_paper_is_quoted_as_printed():
    assert [tuple(row.values()) for row in REPORTED.values()] == [
        (3.85, 3.40, 0.45),
        (1.36, 1.17, 0.19),
        (1.28, 0.96, 0.32),
        (2.08, 2.30, 0.33),
    ]
