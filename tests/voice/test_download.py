"""Getting a model: from a hub on loopback, whole, broken, stalled, cancelled, and gone on with."""

from __future__ import annotations

import asyncio
import filecmp
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.voice.fake_hub import SLOW_BYTES, FakeHub, Fault, serving
from tests.voice.sound import MODEL
from tui_agent.voice.getting import Download, offer
from tui_agent.voice.models import NoModel, find_model, models_folder


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield hub


async def get(stall_s: float = 20.0) -> tuple[str, list[float]]:
    """(what it said at its end, the shares it told)"""
    shares: list[float] = []
    sentence = await Download("tiny", lambda download: shares.append(download.share), stall_s).run()
    return sentence, shares


async def test_a_model_comes_whole_and_is_found(hub: FakeHub) -> None:
    with pytest.raises(NoModel, match="voice setup --model tiny"):
        find_model("tiny")
    sentence, shares = await get()
    assert sentence == ""
    assert shares == sorted(shares)
    assert shares[-1] == 1
    found = find_model("tiny")
    assert found == models_folder() / "tiny"
    names = ["config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.json"]
    assert sorted(path.name for path in found.iterdir()) == names
    assert filecmp.cmpfiles(found, MODEL, names, shallow=False)[0] == names


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("cut", "broke off"),
        ("stall", "Nothing came from 127.0.0.1"),
        ("stall_at_once", "Nothing came from 127.0.0.1"),
        ("damaged", "arrived damaged"),
        ("refused", "refuses the model (503)"),
        ("not_a_hub", "does not answer as a model hub"),
        ("no_model", "has no model"),
    ],
)
async def test_each_fault_is_a_sentence_and_the_next_try_works(hub: FakeHub, fault: Fault, words: str) -> None:
    hub.fault = fault
    sentence, _ = await get(stall_s=1.0)
    assert words in sentence
    assert "tui-agent voice setup" in sentence or "HF_ENDPOINT" in sentence
    with pytest.raises(NoModel):
        find_model("tiny")
    hub.fault = ""
    hub.released.set()
    assert (await get())[0] == ""
    find_model("tiny")


async def test_what_came_before_it_broke_is_not_got_again(hub: FakeHub) -> None:
    hub.fault = "cut"
    await get()
    hub.fault = ""
    hub.asked.clear()
    assert (await get())[0] == ""
    assert hub.asked[1:] == [("/Systran/faster-whisper-tiny/resolve/main/model.bin", f"bytes={SLOW_BYTES}-")]


async def test_a_cancelled_download_ends_its_process_at_once_and_can_be_gone_on_with(hub: FakeHub) -> None:
    hub.fault = "stall"
    half_way = asyncio.Event()
    model_bytes = (MODEL / "model.bin").stat().st_size  # the largest file comes last

    def show(download: Download) -> None:
        if download.done_bytes > download.total_bytes - model_bytes:
            half_way.set()

    download = Download("tiny", show)
    running = asyncio.create_task(download.run())
    await half_way.wait()
    running.cancel()
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.get_running_loop().time() - began_s < 2
    came_bytes = (models_folder() / "tiny.part" / "model.bin").stat().st_size
    assert download.done_bytes - (download.total_bytes - model_bytes) <= came_bytes <= SLOW_BYTES
    hub.fault = ""
    hub.asked.clear()
    assert (await get())[0] == ""
    assert hub.asked[1:] == [("/Systran/faster-whisper-tiny/resolve/main/model.bin", f"bytes={came_bytes}-")]


async def test_without_a_network_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in (await get())[0]


async def test_an_address_that_is_none_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert "must begin with https://" in (await get())[0]


async def test_a_folder_that_cannot_be_written_is_said(hub: FakeHub, folder: Path) -> None:
    models_folder().parent.mkdir(parents=True)
    models_folder().write_text("a file where the folder should be")
    assert "cannot be written" in (await get())[0]


def test_what_is_asked_names_size_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert offer("base") == "the Whisper model base, about 148 MB, from huggingface.co/Systran/faster-whisper-base"


async def cli(*arguments: str) -> tuple[int, str]:
    """`tui-agent voice …`: (exit status, what it said)"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", "import sys; from tui_agent.cli import main; sys.exit(main())", "voice", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL,
        env=dict(os.environ),
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in out
    return process.returncode, out.decode()


async def test_setup_gets_the_model_once(hub: FakeHub) -> None:
    status, said = await cli("setup", "--model", "tiny")
    assert status == 0
    assert f"about 78 MB, from {hub.url.removeprefix('http://')}" in said
    hub.asked.clear()
    status, said = await cli("setup", "--model", "tiny")
    assert (status, hub.asked) == (0, [])
    assert "The model is here" in said


async def test_setup_fails_with_a_sentence(hub: FakeHub) -> None:
    hub.fault = "refused"
    status, said = await cli("setup")
    assert status == 1
    assert "refuses the model" in said


async def test_setup_takes_a_folder_without_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    status, said = await cli("setup", "--whisper-model", str(MODEL))
    assert status == 0
    assert f"tui-agent --whisper-model {MODEL}" in said
    status, said = await cli("setup", "--whisper-model", str(folder))
    assert status == 1
    assert "lacks model.bin" in said


def test_a_model_that_another_program_has_got_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = folder / "hf" / "hub" / "models--Systran--faster-whisper-small"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc")
    (cache / "snapshots").mkdir()
    (cache / "snapshots" / "abc").symlink_to(MODEL)
    assert find_model("small") == cache / "snapshots" / "abc"
