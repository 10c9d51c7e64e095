"""Download a repository's files from a model hub: with a bar, again after a failure, and from where it stopped.

Puts them into huggingface_hub's cache. Does so itself, over plain HTTP: the library drops what has arrived of a file
when it fails, and its own storage (Xet) fails without a reason. Knows nothing of cards.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import huggingface_hub
from httpx2 import ConnectError, HTTPError, RemoteProtocolError, TimeoutException, TransportError
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RevisionResolutionError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import build_hf_headers, disable_progress_bars, hf_raise_for_status, logging
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from tqdm import tqdm

from generator.errors import FetchFailed

# Tries in a row without a byte; the pauses between them add up to about a minute.
TRIES = 7
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

# What a hub answers when another try may help.
_PASSING = (408, 429, 500, 502, 503, 504)

# A file on large storage is named after its own SHA-256; others have a shorter name.
_SHA256_LENGTH = 64

# Its bars count files; ours counts bytes. Its warnings name each of its own tries, in the words of the network.
disable_progress_bars()
logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # as huggingface_hub has it


def download(name: str, repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download the files that match and are not here; return the folder with all of them. Raises FetchFailed."""
    try:
        return _download(name, repository, revision, list(patterns))
    except (OSError, HTTPError, RuntimeError, ValueError, RevisionResolutionError) as error:
        why = f"{name} could not be fetched from {repository}: {_reason(error)}."
        raise FetchFailed("fetch_failed", f"{why} The same command goes on where this one stopped.") from error


def _download(name: str, repository: str, revision: str | None, patterns: list[str]) -> Path:
    found = _retrying()(lambda: snapshot_download(repository, revision=revision, allow_patterns=patterns, dry_run=True))
    wanted = [file for file in found if file.will_download]
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    urls = [hf_hub_url(repository, file.filename, revision=file.commit_hash) for file in wanted]
    # Equal files have the same name, and come once.
    files = list({file.name: file for file in (_File(url, blobs) for url in urls)}.values())
    _check_disk(name, blobs, sum(file.missing_bytes for file in files))
    with tqdm(
        desc=name,
        total=sum(file.size for file in files),
        initial=sum(file.size - file.missing_bytes for file in files),
        unit="B",
        unit_scale=True,
        disable=not files,
    ) as bar:
        for file in files:
            file.fetch(bar)
    # Everything is in the cache now; this enters it under the names that the repository gives it.
    return Path(_retrying()(lambda: snapshot_download(repository, revision=revision, allow_patterns=patterns)))


class _File:
    """One file of a repository, and what has arrived of it."""

    def __init__(self, url: str, blobs: Path) -> None:
        self._url = url
        metadata = _retrying()(get_hf_file_metadata, url)
        if metadata.size is None or metadata.etag is None:
            raise ValueError(f"the hub does not say how large {url} is")
        self.size = metadata.size
        self.name = metadata.etag
        self._path = blobs / metadata.etag
        # Not huggingface_hub's own name for it, which means a file that it will not go on with.
        self._part = blobs / f"{metadata.etag}.part"

    @property
    def _arrived(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    @property
    def missing_bytes(self) -> int:
        return 0 if self._path.exists() else max(0, self.size - self._arrived)

    def fetch(self, bar: "tqdm[Any]") -> None:
        """Download what is missing. A try that brought something does not count."""
        if self._path.exists():
            return
        self._part.parent.mkdir(parents=True, exist_ok=True)
        with self._part.open("ab") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError("another command is fetching it") from None
            for attempt in _retrying():
                with attempt:
                    before = part.tell()
                    try:
                        self._receive(part, bar)
                    finally:
                        if part.seek(0, os.SEEK_END) > before:
                            attempt.retry_state.attempt_number = 1
        self._check()
        self._part.rename(self._path)

    def _receive(self, part: BinaryIO, bar: "tqdm[Any]") -> None:
        """Append to ``part`` until all is there or the hub breaks off."""
        if (arrived := part.tell()) >= self.size:
            return
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={arrived}-"}
        session, timeout = huggingface_hub.get_session(), constants.HF_HUB_DOWNLOAD_TIMEOUT
        with session.stream("GET", self._url, headers=headers, timeout=timeout, follow_redirects=True) as response:
            hf_raise_for_status(response)
            if response.status_code != 206 and arrived:
                # The hub cannot go on in the middle.
                part.truncate(0)
                bar.update(-arrived)
            for chunk in response.iter_bytes():
                part.write(chunk)
                bar.update(len(chunk))
        if part.seek(0, os.SEEK_END) < self.size:
            raise RemoteProtocolError("the file is shorter than announced")

    def _check(self) -> None:
        """Compare what has arrived with the file's name, as tries from several days may have been put together."""
        with self._part.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            is_whole = size == self.size and (
                len(self.name) != _SHA256_LENGTH or hashlib.file_digest(stream, "sha256").hexdigest() == self.name
            )
        if not is_whole:
            self._part.unlink()
            raise ValueError("what arrived is not what the hub announced, so it was thrown away")


def _check_disk(name: str, folder: Path, missing_bytes: int) -> None:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if missing_bytes > free:
        raise FetchFailed(
            "disk_full",
            f"{name} needs {missing_bytes / 1e9:.1f} GB more on the disk of {constants.HF_HUB_CACHE}, which has "
            f"{free / 1e9:.1f} GB free. Make room, or name a folder on another disk: HF_HOME=FOLDER.",
        )


def _retrying() -> Retrying:
    return Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
        stop=stop_after_attempt(TRIES),
        before_sleep=_announce,
        reraise=True,
    )


def _may_pass(error: BaseException | None) -> bool:
    """Whether another try may help; huggingface_hub wraps some errors in its own."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _PASSING
    return error is not None and (isinstance(error, TransportError) or _may_pass(error.__cause__))


def _announce(state: RetryCallState) -> None:
    assert state.outcome is not None and state.next_action is not None
    error = state.outcome.exception()
    assert error is not None
    pause_s = state.next_action.sleep
    # Above the bar, not across it.
    tqdm.write(f"{_reason(error)}; trying again in {pause_s:.0f} s.".capitalize(), file=sys.stderr)


def _reason(error: BaseException) -> str:
    """Say in the middle of a sentence what went wrong."""
    match error:
        case GatedRepoError():
            return "its owner gives it only to people who agree to terms on the hub and then set HF_TOKEN"
        case HfHubHTTPError() if error.response.status_code in (401, 404):
            return "the hub has no such repository or file, or shows it only to its owners"
        case HfHubHTTPError():
            return f"the hub answers with status {error.response.status_code}"
        case ConnectError():
            return "the hub cannot be reached"
        case TimeoutException():
            return "the hub does not answer"
        case TransportError():
            return "the hub broke off"
    if error.__cause__ is not None:
        return _reason(error.__cause__)
    return str(error).partition("\n")[0].rstrip(".")
