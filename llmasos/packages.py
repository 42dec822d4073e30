"""Our five packages: whether one is hidden by another distribution's of the same name.

`agents` and `workers` are names that others use too; Python takes the first that it finds. Called
at start-up and by `llmasos doctor`. Knows names and folders, imports nothing of what it looks at.
"""

from importlib.util import find_spec
from pathlib import Path

from llmasos.errors import UsageError

PACKAGES = ("llmasos", "knowledge", "agents", "workers", "integrations")


def check_packages() -> None:
    """Raise UsageError when another distribution's package stands where one of ours should."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        folders = (
            [Path(each).resolve() for each in (spec.submodule_search_locations or [])]
            if spec
            else []
        )
        if not folders or folders[0].parent != home:
            found = folders[0] if folders else (spec.origin if spec else None)
            raise UsageError(
                f"LLMasOS's package '{name}' ({home / name}) is hidden by "
                + (f"another one at {found}." if found else "nothing: it is missing.")
                + " Install LLMasOS in an environment of its own."
            )
