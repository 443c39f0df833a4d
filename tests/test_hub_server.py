# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The stand-in Hub is to `huggingface_hub`, `transformers` and `datasets` what the Hub is."""

import subprocess
import textwrap

import pytest


pytest_plugins = ("hub_server",)


def test_pushed_model_loads_back_and_again_offline(hub_server):
    pushed = hub_server.run("""
        import torch
        from transformers import AutoModel, LlamaConfig, LlamaModel

        sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
        config = LlamaConfig(num_hidden_layers=2, **sizes)
        model = LlamaModel(config)
        config.push_to_hub("user/tiny")
        model.push_to_hub("user/tiny")
        loaded = AutoModel.from_pretrained("user/tiny")
        assert type(loaded) is LlamaModel
        assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
        print(loaded(torch.arange(8)[None]).last_hidden_state.sum().item())
    """)
    hub_server.close()
    offline = hub_server.run(
        """
        import torch
        from transformers import AutoModel

        print(AutoModel.from_pretrained("user/tiny")(torch.arange(8)[None]).last_hidden_state.sum().item())
        """,
        HF_HUB_OFFLINE="1",
    )
    assert offline == pushed


def test_custom_code_model_loads_without_its_package(hub_server, tmp_path):
    package = tmp_path / "toy"
    package.mkdir()
    (package / "configuration_toy.py").write_text(
        textwrap.dedent("""
            from transformers import PreTrainedConfig

            class ToyConfig(PreTrainedConfig):
                model_type = "toy"
                size: int = 4
        """)
    )
    (package / "modeling_toy.py").write_text(
        textwrap.dedent("""
            import torch
            from transformers import PreTrainedModel
            from .configuration_toy import ToyConfig

            class ToyModel(PreTrainedModel):
                config: ToyConfig

                def __init__(self, config):
                    super().__init__(config)
                    self.linear = torch.nn.Linear(config.size, 1)
                    self.post_init()

                def forward(self, x):
                    return self.linear(x)
        """)
    )
    pushed = hub_server.run(
        """
        import torch
        from toy.configuration_toy import ToyConfig
        from toy.modeling_toy import ToyModel

        ToyConfig.register_for_auto_class()
        ToyModel.register_for_auto_class("AutoModel")
        model = ToyModel(ToyConfig(size=7))
        torch.nn.init.uniform_(model.linear.weight)
        model.push_to_hub("user/toy")
        print(model(torch.ones(7)).item())
        """,
        PYTHONPATH=str(tmp_path),
    )
    loaded = hub_server.run("""
        import torch
        from transformers import AutoModel

        model = AutoModel.from_pretrained("user/toy", trust_remote_code=True)
        assert type(model).__module__.startswith("transformers_modules.user.toy")
        print(model(torch.ones(7)).item())
    """)
    assert loaded == pushed


def test_pushed_dataset_loads_and_streams(hub_server):
    hub_server.run("""
        from datasets import Dataset, load_dataset

        first, second = Dataset.from_dict({"id": ["a", "b", "c", "d"]}), Dataset.from_dict({"id": ["e"]})
        first.push_to_hub("user/columns", num_shards=2)
        second.push_to_hub("user/columns", split="validation")
        loaded = load_dataset("user/columns")
        assert loaded["train"]["id"][:] == ["a", "b", "c", "d"] and loaded["validation"]["id"][:] == ["e"]
        assert [row["id"] for row in load_dataset("user/columns", split="train", streaming=True)] == list("abcd")

        second.push_to_hub("user/columns", split="train")  # replaces both shards by one
        assert load_dataset("user/columns", split="train")["id"][:] == ["e"]
    """)


def test_what_is_missing_raises_the_ordinary_error(hub_server):
    hub_server.run("""
        from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

        def error(action, *args, **kwargs):
            try:
                action(*args, **kwargs)
            except Exception as exception:
                return exception

        api = HfApi()
        api.create_repo("user/model")
        api.upload_file(repo_id="user/model", path_in_repo="a/b.txt", path_or_fileobj=b"b")
        assert isinstance(error(hf_hub_download, "user/model", "c.txt"), EntryNotFoundError)
        assert not isinstance(try_to_load_from_cache("user/model", "c.txt"), str | None)  # its absence is cached
        assert isinstance(error(hf_hub_download, "user/model", "a"), EntryNotFoundError)
        assert isinstance(error(list, api.list_repo_tree("user/model", "c")), EntryNotFoundError)
        assert isinstance(error(hf_hub_download, "user/model", "a/b.txt", revision="v2"), RevisionNotFoundError)
        assert isinstance(error(api.dataset_info, "user/model"), RepositoryNotFoundError)
        upload = error(api.upload_file, repo_id="user/gone", path_in_repo="a", path_or_fileobj=b"")
        assert isinstance(upload, RepositoryNotFoundError)
        assert error(api.create_repo, "user/model").response.status_code == 409
        assert error(api.list_repo_refs, "user/model").response.status_code == 501  # not something this Hub does
    """)


def test_folder_of_large_files_arrives_whole(hub_server, tmp_path):
    hub_server.run(
        """
        import os
        from pathlib import Path
        from huggingface_hub import HfApi, snapshot_download

        folder = Path(os.environ["FOLDER"])
        names = ["a/weights.safetensors", "b/weights.safetensors", "a/audio.wav", "b/audio.wav"]
        files = {name: os.urandom(8_000_000) for name in names}
        files |= {"empty": b"", "a name with ünïcode & spaces #1?.txt": "ü".encode()}
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        api = HfApi()
        api.create_repo("user/large", repo_type="dataset")
        api.upload_folder(repo_id="user/large", repo_type="dataset", folder_path=folder)
        snapshot = Path(snapshot_download("user/large", repo_type="dataset"))
        assert {str(p.relative_to(snapshot)): p.read_bytes() for p in snapshot.rglob("*") if p.is_file()} == files
        root = {entry.path for entry in api.list_repo_tree("user/large", repo_type="dataset")}
        assert root == {"a", "b"} | {name for name in files if "/" not in name}
        """,
        FOLDER=str(tmp_path / "large"),
    )


def test_commits_follow_one_another(hub_server):
    hub_server.run("""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        def text(name, revision="main"):
            return open(hf_hub_download("user/model", name, revision=revision)).read()

        def commit(*operations, **kwargs):
            return api.create_commit("user/model", operations, commit_message="change", **kwargs).oid

        api = HfApi()
        api.create_repo("user/model")
        names = ("a.txt", "b/c.txt", "bc.txt")
        first = commit(*[CommitOperationAdd(name, b"one") for name in names])
        assert commit(CommitOperationAdd("a.txt", b"one")) == first  # nothing has changed
        second = commit(CommitOperationAdd("a.txt", b"two"), CommitOperationDelete("b/"))
        assert api.model_info("user/model").sha == second
        assert (text("a.txt"), text("a.txt", first)) == ("two", "one")
        assert api.list_repo_files("user/model") == ["a.txt", "bc.txt"]
        try:
            commit(CommitOperationAdd("a.txt", b"three"), parent_commit=first)
        except HfHubHTTPError as error:
            assert error.response.status_code == 412
        assert text("a.txt") == "two"
    """)


def test_model_card_tells_the_task(hub_server):
    hub_server.run("""
        from huggingface_hub import HfApi, ModelCard

        api = HfApi()
        api.create_repo("user/model")
        card = ModelCard("---\\npipeline_tag: audio-to-audio\\nlibrary_name: hafm_hf\\n---\\nSings.")
        card.push_to_hub("user/model")
        info = api.model_info("user/model")
        assert (info.pipeline_tag, info.library_name) == ("audio-to-audio", "hafm_hf")
        try:
            api.upload_file(
                repo_id="user/model", path_in_repo="README.md", path_or_fileobj=b"---\\ntags: [music\\n---\\nSings."
            )
        except ValueError as error:
            assert "Invalid metadata" in str(error)
        assert api.model_info("user/model").sha == info.sha
    """)


def test_part_of_a_file_can_be_asked_for(hub_server):
    hub_server.run("""
        from huggingface_hub import HfApi, get_session, hf_hub_url

        HfApi().create_repo("user/model")
        HfApi().upload_file(repo_id="user/model", path_in_repo="digits", path_or_fileobj=b"0123456789")

        def get(byte_range):
            answer = get_session().get(hf_hub_url("user/model", "digits"), headers={"Range": byte_range})
            return answer.status_code, answer.headers.get("Content-Range"), answer.content

        assert get("bytes=4-") == (206, "bytes 4-9/10", b"456789")
        assert get("bytes=2-3") == (206, "bytes 2-3/10", b"23")
        assert get("bytes=8-99") == (206, "bytes 8-9/10", b"89")
        assert get("bytes=10-")[0] == 416
    """)


def test_failing_script_fails_the_test(hub_server):
    with pytest.raises(subprocess.CalledProcessError):
        hub_server.run("raise SystemExit(1)")
