"""What an answer must not do to its readers: call them together, hide, or lead them astray.

A model may have been told what to write by a page or a stranger. Its text goes into Slack as
standard Markdown, so what Slack or a client would act on is broken here, and stays readable. Pure
functions; knows nothing of the SDK. Start reading at `harmless`.
"""

import re

_PING = re.compile(r"<(?=!(?:channel|here|everyone|group)|!subteam\^|@[a-z0-9])", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")
_LINK = re.compile(
    r"\[([^\[\]\n]{0,300})\]"
    r"\( ?<?((?:[^\s()<>]|\([^\s()<>]{0,300}\)){1,1000})>?(?: [^()\n]{0,200})?\)"
)
_LABELLED = re.compile(
    r"<((?:https?|mailto|slack):[^|<>\s]{1,1000})\|([^<>\n]{0,300})>", re.IGNORECASE
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_HOST = re.compile(
    r"(?:https?://)?(?:[^\s/@]*@)?((?:[\w-]+\.)+[a-z]{2,}|\d+\.\d+\.\d+\.\d+)", re.IGNORECASE
)
_UNFINISHED = re.compile(
    r"<[!@][a-z^]{0,8}$|<$"
    r"|<(?:https?|mailto|slack):[^<>\n]{0,1300}$"
    r"|\[[^\[\]\n]{0,300}(?:\](?:\((?:[^()\n]|\([^()\n]{0,300}\)?){0,1300})?)?$",
    re.IGNORECASE,
)
LONGEST = 1_620
"""Characters of the longest thing that `settled` holds back."""
SAFE = ("http", "https", "mailto")


def harmless(text: str) -> str:
    """The text without what harms: mentions broken, unseen characters gone, links honest.

    Of a growing text take `settled` first, so that what was harmless stays as it is.
    """
    text = _UNSEEN.sub("", text)
    text = _LABELLED.sub(lambda found: _honest(found[2], found[1], found[0]), text)
    text = _LINK.sub(lambda found: _honest(found[1], found[2], found[0]), text)
    return _PING.sub("<\u2060", text)


def settled(text: str) -> str:
    """A growing text without an end that may yet become a mention or a link."""
    text = _UNSEEN.sub("", text)
    found = _UNFINISHED.search(text, max(0, len(text) - LONGEST))
    return text[: found.start()] if found else text


def _honest(label: str, target: str, link: str) -> str:
    """A link as it may stay, or in words that show where it leads."""
    scheme = _SCHEME.match(target)
    if scheme is None:
        return link
    said, leads_to = _HOST.search(label), _HOST.match(target)
    of_another = said and (leads_to is None or said[1].lower() != leads_to[1].lower())
    if scheme[1].lower() in SAFE and not of_another:
        return link
    return f"{label} ({target})"
