"""What `.gitignore` files leave out of a folder, as git understands them."""

from pathlib import Path

from pathspec import GitIgnoreSpec

NAME = ".gitignore"
MAX_BYTES = 1_000_000


class Ignored:
    """The rules that hold below a folder: of its repository above it, and of folders in it."""

    def __init__(self, root: Path) -> None:
        """root: absolute, without links."""
        self._specs: dict[Path, GitIgnoreSpec] = {}
        above = [root, *root.parents]
        for place, folder in enumerate(above):
            if (folder / ".git").exists():  # up to here the repository's rules hold
                for each in above[: place + 1]:
                    self.enter(each)
                break

    def enter(self, folder: Path) -> None:
        """Read the rules of a folder that is searched next."""
        path = folder / NAME
        try:
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                self._specs[folder] = GitIgnoreSpec.from_lines(lines)
        except (OSError, ValueError):  # unreadable, or no pattern: git goes on without it
            return

    def has(self, path: Path, *, is_dir: bool) -> bool:
        """Whether the rules leave this file or folder out; the nearest rule has the last word."""
        for folder in path.parents:
            spec = self._specs.get(folder)
            if spec:
                inside = path.relative_to(folder).as_posix()
                verdict = spec.check_file(inside + "/" if is_dir else inside).include
                if verdict is not None:
                    return verdict
        return False
