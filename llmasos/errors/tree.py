"""The root of the error tree, and the branch of the caller's mistakes. Knows no other module."""

from difflib import get_close_matches


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Say which known names are meant by a wrong one: `Did you mean 'x'? Known: x, y.`"""
    names = sorted(set(known))
    longer = [each for each in names if len(name) > 2 and each.startswith(name)]
    close = longer or get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Known: {', '.join(names) or 'none'}."


class LLMasOSError(Exception):
    """Something went wrong in LLMasOS."""

    def __str__(self) -> str:
        return self.message()

    def message(self) -> str:
        """The whole message for a person: what happened, to what, and what to do next."""
        return " ".join(str(part) for part in self.args) or (self.__doc__ or "").strip()


class UsageError(LLMasOSError):
    """The caller asked for something that cannot be done as asked."""
