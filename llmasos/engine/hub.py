"""The Hugging Face Hub: what a repository holds and hashes to, and its files. The vendor's fence.

`sources.py` fetches models through it, `additions.py` learns what a new model is.
"""

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmasos.engine.catalogue import is_inside
from llmasos.errors import DownloadFailed, GatedModel

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUBLIC = "https://huggingface.co"


@dataclass(frozen=True)
class HubFile:
    """A file as the Hub states it."""

    name: str
    size: int
    sha256: str | None
    """Known for large files."""
    blob: str | None
    """Git's own hash of the content, known for the others."""

    def found(self, path: Path) -> tuple[str, str] | None:
        """The hash stated and the one that a file has, where they differ."""
        if self.sha256:
            return _unless_equal(self.sha256, sha256(path))
        return _unless_equal(self.blob, _git_blob(path)) if self.blob else None


@dataclass(frozen=True)
class Listing:
    """A repository at one commit. about: what its card and its files' heads say."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]
    licence: str
    gated: bool
    about: dict[str, Any]

    def matching(self, patterns: Sequence[str], folder: str = "") -> tuple[HubFile, ...]:
        """The files below a folder whose names fit one of the patterns, sorted by name.

        A `*` does not reach into folders.
        """
        start = f"{folder}/" if folder else ""
        return tuple(
            file
            for file in sorted(self.files, key=lambda file: file.name)
            if file.name.startswith(start)
            and any(_fits(file.name.removeprefix(start), each) for each in patterns)
        )


@dataclass(frozen=True)
class Hub:
    """One Hub. endpoint: None for the public one. token: None for whatever its library finds."""

    endpoint: str | None = None
    token: str | None = None

    def listing(self, name: str, repo: str, revision: str) -> Listing:
        """What a repository holds. name: of the model, for errors.

        Raises DownloadFailed or GatedModel.
        """
        with self._translated(name, repo, revision):
            found = self._api().model_info(repo, revision=revision, files_metadata=True)
        for file in found.siblings or ():
            if not is_inside(file.rfilename):
                reason = f"it names a file outside its folder: {file.rfilename!r}"
                raise DownloadFailed(name, f"hf:{repo}@{revision}", reason)
        card = dict(vars(found.card_data)) if found.card_data else {}
        files = tuple(
            HubFile(
                name=file.rfilename,
                size=(file.lfs.size if file.lfs else file.size) or 0,
                sha256=file.lfs.sha256 if file.lfs else None,
                blob=None if file.lfs else file.blob_id,
            )
            for file in found.siblings or ()
        )
        return Listing(
            repo=repo,
            commit=found.sha or revision,
            files=files,
            licence=str(card.get("license_name") or card.get("license") or "unknown"),
            gated=bool(found.gated),
            about={**card, "gguf": found.gguf or {}, "config": found.config or {}},
        )

    def download(self, name: str, repo: str, revision: str, file: str, into: Path) -> Path:
        """Fetch one file, or what is missing of it from an attempt that broke off.

        name: of the model, for errors. Raises DownloadFailed or GatedModel.
        """
        from huggingface_hub import hf_hub_download  # late: half a second
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        with self._translated(name, repo, revision):
            return Path(
                hf_hub_download(
                    repo,
                    file,
                    revision=revision,
                    local_dir=into,
                    endpoint=self.endpoint,
                    token=self.token,
                )
            )

    def _api(self) -> "HfApi":
        from huggingface_hub import HfApi  # late: half a second

        return HfApi(endpoint=self.endpoint, token=self.token)

    @contextmanager
    def _translated(self, name: str, repo: str, revision: str) -> Iterator[None]:
        """Turn the library's errors into ours; a full disk's stays what it is."""
        from huggingface_hub import errors  # late: half a second

        source = f"hf:{repo}@{revision}"
        try:
            yield
        except errors.GatedRepoError as error:
            raise GatedModel(name, repo, self.token is not None) from error
        except errors.RevisionNotFoundError as error:
            reason = f"{repo} has no revision '{revision}'"
            raise DownloadFailed(name, source, reason) from error
        except errors.RepositoryNotFoundError as error:
            reason = (
                f"the Hub has no repository '{repo}', or shows it to members only: check the name, "
                "and set hub.token if it is private"
            )
            raise DownloadFailed(name, source, reason) from error
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
            raise DownloadFailed(name, source, self._unreachable(error)) from error
        except errors.EntryNotFoundError as error:
            raise DownloadFailed(name, source, _one_line(f"no such file: {error}")) from error
        except (errors.HfHubHTTPError, errors.HFValidationError) as error:
            raise DownloadFailed(name, source, _one_line(str(error))) from error
        except OSError as error:
            if error.errno is not None:  # the disk's, not the network's
                raise
            raise DownloadFailed(name, source, self._unreachable(error)) from error

    def _unreachable(self, error: Exception) -> str:
        cause = type(error.__cause__ or error).__name__
        return (
            f"{self.endpoint or PUBLIC} cannot be reached ({cause}). Check the connection, name a "
            "mirror with hub.url, or copy the models folder from a machine that has it. "
            "What was fetched so far is kept"
        )


def sha256(path: Path) -> str:
    """A file's sha256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_blob(path: Path) -> str:
    """The name that git has for a file's content: the SHA-1 of `blob SIZE`, a zero byte and it."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _fits(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _unless_equal(stated: str, found: str) -> tuple[str, str] | None:
    return None if stated == found else (stated, found)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
