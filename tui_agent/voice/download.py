"""Get a model from the hub: `python -P -m tui_agent.voice.download NAME`, one JSON line for each step on stdout.

A process of its own, so that it can be killed at any moment, whatever the network does. Files go into NAME.part, are
held against the hash that the hub tells, and become NAME in one step; what is there of an earlier try is gone on with.
Nothing but a person's wish starts it.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tui_agent.voice.models import HUB_MODELS, hub_endpoint, models_folder

STALL_S: Final = 30.0
CHUNK_BYTES: Final = 1 << 18
TELLINGS: Final = 500
WANTED: Final = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json")


class CannotGet(Exception):
    """The text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub lists it; `sha` is hex of `algorithm`."""

    path: str
    size: int
    sha: str
    is_git: bool  # git's SHA-1 of a blob, else SHA-256 of the content


class Getter:
    """Gets one model."""

    def __init__(self, name: str, folder: Path, stall_s: float = STALL_S) -> None:
        self._name, self._repo = name, HUB_MODELS[name].repo
        self._folder = folder
        self._part = folder.with_name(folder.name + ".part")
        self._stall_s = stall_s
        self._endpoint = hub_endpoint()
        self._told = 0
        self.done = self.total = 0

    def get(self) -> None:
        """Raises CannotGet."""
        files = self._list()
        self.total = sum(file.size for file in files)
        self._check_space()
        self._tell(force=True)
        try:
            self._part.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in files:
                self._get(file)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._part.rename(self._folder)
        except OSError as exc:
            if isinstance(exc, (urllib.error.URLError, ConnectionError, TimeoutError)):
                raise
            raise CannotGet(
                f"The model cannot be written to {self._folder.parent}. Check its rights and space."
            ) from None

    def _check_space(self) -> None:
        parent = next(folder for folder in self._folder.parents if folder.is_dir())
        if shutil.disk_usage(parent).free < self.total:
            raise CannotGet(f"There is no room for {self.total / 1e6:.0f} MB in {parent}. Free some, then try again.")

    def _list(self) -> list[HubFile]:
        url = f"{self._endpoint}/api/models/{self._repo}/tree/main"
        with self._open(url) as answer:
            try:
                listed = json.loads(answer.read(1 << 20))
                files = [_as_file(item) for item in listed if item.get("type") == "file"]
            except (ValueError, KeyError, TypeError, AttributeError):
                raise CannotGet(f"{self._host} does not answer as a model hub does. Check HF_ENDPOINT.") from None
        files = [file for file in files if file.path in WANTED or file.path in ("vocabulary.json", "vocabulary.txt")]
        if "model.bin" not in {file.path for file in files}:
            raise CannotGet(f"{self._host} has no model in {self._repo}. Choose another: tui-agent voice setup --help")
        return sorted(files, key=lambda file: file.size)

    @property
    def _host(self) -> str:
        return urlsplit(self._endpoint).netloc or self._endpoint

    def _get(self, file: HubFile) -> None:
        path = self._part / file.path
        begun = path.stat().st_size if path.is_file() else 0
        if begun > file.size:
            path.unlink()
            begun = 0
        if begun < file.size:
            self._fetch(file, path, begun)
        else:
            self.done += begun
        if _hash(path, file) != file.sha:
            path.unlink()
            raise CannotGet(f"{file.path} arrived damaged and was thrown away. Try again: tui-agent voice setup")
        self._tell(force=True)

    def _fetch(self, file: HubFile, path: Path, begun: int) -> None:
        url = f"{self._endpoint}/{self._repo}/resolve/main/{file.path}"
        with self._open(url, {"Range": f"bytes={begun}-"} if begun else {}) as answer:
            is_rest = begun and answer.status == 206
            if not is_rest:
                begun = 0
            self.done += begun
            left = file.size - begun
            # Unbuffered: a kill loses nothing of what was told as done.
            with open(path, "ab" if is_rest else "wb", buffering=0) as out:
                while left > 0 and (chunk := answer.read1(min(CHUNK_BYTES, left))):
                    out.write(chunk)
                    left -= len(chunk)
                    self.done += len(chunk)
                    self._tell()
        if left > 0:
            raise CannotGet(f"The connection to {self._host} broke off. Try again, it goes on where it was: {_AGAIN}")

    def _open(self, url: str, headers: dict[str, str] | None = None) -> Any:
        if urlsplit(url).scheme not in ("http", "https"):
            raise CannotGet("HF_ENDPOINT must begin with https:// (or http:// for a mirror nearby).")
        request = urllib.request.Request(url, headers={"User-Agent": "tui-agent", **(headers or {})})  # noqa: S310
        try:
            return urllib.request.urlopen(request, timeout=self._stall_s)  # noqa: S310
        except urllib.error.HTTPError as exc:
            raise CannotGet(
                f"{self._host} refuses the model ({exc.code}). Try later, or name a mirror: HF_ENDPOINT"
            ) from None

    def _tell(self, *, force: bool = False) -> None:
        if force or self.done - self._told >= self.total / TELLINGS:
            self._told = self.done
            tell(type="progress", done=self.done, total=self.total)


_AGAIN: Final = "tui-agent voice setup"


def _as_file(item: dict[str, Any]) -> HubFile:
    lfs = item.get("lfs")
    if lfs:
        return HubFile(str(item["path"]), int(lfs["size"]), str(lfs["oid"]).removeprefix("sha256:"), is_git=False)
    return HubFile(str(item["path"]), int(item["size"]), str(item["oid"]), is_git=True)


def _hash(path: Path, file: HubFile) -> str:
    digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False) if file.is_git else hashlib.sha256()
    with open(path, "rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def tell(**event: object) -> None:
    """One line to who started this."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=list(HUB_MODELS))
    parser.add_argument("--stall-s", type=float, default=STALL_S)
    arguments = parser.parse_args()
    folder = models_folder() / arguments.name
    getter = Getter(arguments.name, folder, arguments.stall_s)
    host = urlsplit(hub_endpoint()).netloc or hub_endpoint()
    try:
        getter.get()
    except CannotGet as problem:
        sentence = str(problem)
    except TimeoutError:
        sentence = f"Nothing came from {host} for {arguments.stall_s:g} s. Try again, it goes on where it was: {_AGAIN}"
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, TimeoutError):
            sentence = f"{host} does not answer. Check the network, then: {_AGAIN}"
        else:
            sentence = f"{host} cannot be reached. Check the network, then: {_AGAIN}"
    except (ConnectionError, http.client.HTTPException):
        sentence = f"The connection to {host} broke off. Try again, it goes on where it was: {_AGAIN}"
    else:
        tell(type="finished", folder=os.fspath(folder))
        return 0
    tell(type="failed", sentence=sentence)
    return 1


if __name__ == "__main__":
    sys.exit(main())
