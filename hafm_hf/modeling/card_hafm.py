# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The model card of a checkpoint: whatever is pushed to the Hub says what it is and how to use it."""

from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData


METADATA = {
    "library_name": "transformers",
    "pipeline_tag": "audio-to-audio",
    "tags": ["hafm", "vocal-accompaniment", "music-generation", "singing-voice"],
}

INTRODUCTION = """\
A singing voice goes in, an instrumental accompaniment that can be mixed with it comes out: a checkpoint of HAFM
(*Hierarchical Autoregressive Foundation Model for Music Accompaniment Generation*,
[arXiv 2604.09054](https://arxiv.org/abs/2604.09054)).

```python
from transformers import pipeline

accompany = pipeline("vocal-accompaniment", model="{repo_id}", trust_remote_code=True)
take = accompany("vocal.wav", seed=7)  # a path, a URL, bytes, or an array with its sampling_rate
accompaniment, mix, rate = take["audio"], take["mix"], take["sampling_rate"]
```

`trust_remote_code=True` runs the Python files of this repository. Beside `transformers` and `torch` they need `soundfile`
and `soxr`, and for m4a and other formats `av`. Where the package `hafm_hf` is installed, a command does the same:

```bash
hafm accompany vocal.wav --model {repo_id}
```"""

CITATION = """\
```bibtex
@misc{hafm,
  title = {HAFM: Hierarchical Autoregressive Foundation Model for Music Accompaniment Generation},
  year = {2026},
  eprint = {2604.09054},
  archivePrefix = {arXiv}
}
```"""


def short_card(repo_id: str) -> ModelCard:
    """What is true of every checkpoint: what it is, how to use it, what to cite."""
    metadata = ModelCardData(**METADATA).to_yaml()
    introduction = INTRODUCTION.format(repo_id=repo_id)
    return ModelCard(f"---\n{metadata}\n---\n\n# {repo_id.split('/')[-1]}\n\n{introduction}\n\n{CITATION}\n")


class HafmCardMixin:
    """Puts the short card into a repository that has none. Comes before the class that can `push_to_hub`."""

    def _upload_modified_files(self, working_dir, repo_id, *args, **kwargs):
        # Every way to push ends here, with the card of the repository or, where that has none, the library's blank form.
        path = Path(working_dir, "README.md")
        card = ModelCard.load(path)
        if "This model card has been automatically generated." in card.text:
            ours = short_card(repo_id)
            ours.data.tags += [tag for tag in card.data.tags or [] if tag not in ours.data.tags]
            ours.save(path)
        return super()._upload_modified_files(working_dir, repo_id, *args, **kwargs)


__all__ = ["CITATION", "INTRODUCTION", "METADATA", "HafmCardMixin", "short_card"]
