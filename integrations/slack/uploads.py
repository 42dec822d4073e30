"""A reply's files in Slack: what is too long for the text is shared below it, each file once.

Slack takes a file in three steps: a place to put it, the content, and the word to show it. The
journal knows the file before it is shown, so that whoever takes over looks in the thread for it.
Start reading at `Uploads.share`.
"""

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from integrations.slack.calls import Refused, Unreached, Unsure
from integrations.slack.messages import FILES, Messages
from llmasos.channels import Journal
from llmasos.events import Artifact

MOST = 10
"""Files that one reply may have."""
TIMEOUT = 60.0
"""Seconds that the upload of one file may take."""
SLACKS_HOST = "slack.com"


class Uploads:
    """The files of one job at one address.

    settle_seconds: after how long a file whose sharing was not confirmed, and which the thread does
    not show, is taken not to be there.
    """

    def __init__(self, messages: Messages, journal: Journal, settle_seconds: float) -> None:
        self._messages, self._journal = messages, journal
        self._settle_seconds = settle_seconds

    def share(self, artifacts: Sequence[Artifact]) -> None:
        """Share these files, unless they are shared already.

        Raises Refused, Limited, Unreached or Unsure, and LeaseLost.
        """
        for number, artifact in enumerate(artifacts[:MOST], FILES):
            self._share(number, artifact)

    def _share(self, number: int, artifact: Artifact) -> None:
        row = next((each for each in self._journal.rows() if each.part == number), None)
        if row is not None and row.state == "closed":
            return
        if row is None or row.external_id is None:
            file_id = self._upload(number, artifact)
        else:
            file_id = row.external_id
            if self._messages.show_file(file_id):
                self._journal.closed(number)
                return
            wait = row.begun_at + self._settle_seconds - time.time()
            if wait > 0:
                raise Unsure("whether a file was shared is not known yet", wait)
        self._show(number, file_id, artifact)

    def _upload(self, number: int, artifact: Artifact) -> str:
        """Put the content where nobody sees it yet; gives the file's id."""
        content = artifact.content or b""
        client = self._messages.client
        place = self._messages.call(
            client.files_getUploadURLExternal, filename=artifact.file_name, length=len(content)
        )
        self._journal.begin(number, streaming=False)
        self._put(str(place["upload_url"]), content)
        self._journal.opened(number, str(place["file_id"]), streaming=False)
        return str(place["file_id"])

    def _put(self, url: str, content: bytes) -> None:
        """Send the content to the address that Slack named, and to nobody else."""
        ours = urlsplit(self._messages.client.base_url)
        host = urlsplit(url).hostname or ""
        if host != ours.hostname and not f".{host}".endswith(f".{SLACKS_HOST}"):
            raise Refused("upload_url_elsewhere")
        self._journal.check()
        try:
            answer = httpx.post(url, content=content, timeout=TIMEOUT)
        except httpx.HTTPError as error:
            raise Unreached(f"the upload broke off ({type(error).__name__})") from error
        if answer.status_code >= 400:
            raise Unreached(f"the upload was answered {answer.status_code}")

    def _show(self, number: int, file_id: str, artifact: Artifact) -> None:
        client = self._messages.client
        try:
            self._messages.call(
                client.files_completeUploadExternal,
                files=[{"id": file_id, "title": artifact.file_name}],
                channel_id=self._messages.channel,
                thread_ts=self._messages.thread,
            )
        except Unsure as unsure:
            raise Unsure(unsure.reason, self._settle_seconds) from unsure
        self._journal.closed(number)
