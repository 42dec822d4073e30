"""Artifacts in Slack: short ones in the text, long ones as files, each shared exactly once."""

import time
from collections.abc import Iterator

import pytest

from integrations.slack.calls import Calls, sync_client
from integrations.slack.channel import SlackChannel
from integrations.slack.limits import Limits
from integrations.slack.post import Pace
from llmasos.channels import Draft, Turnover
from llmasos.errors import ChannelUnavailable
from llmasos.events import Artifact, Reply
from llmasos.rates import MemoryRates
from llmasos.request import Request
from llmasos.testing.jobs import MemoryPostJournal
from llmasos.testing.slack import Fault, SlackStandIn

SETTLE = 0.3
CODE = "".join(f"line_{number} = {number}\n" for number in range(400))
LONG = Artifact(name="src/main.py", text=CODE)
SHORT = Artifact(name="fix.sh", text="echo ```done```\n")


class Scene:
    """A question in a channel, whose answer has files."""

    def __init__(self, slack: SlackStandIn) -> None:
        self.slack = slack
        self.ask = slack.say("C0GENERAL", "Hi?")
        self.journal = MemoryPostJournal("job1")
        self.settle = SETTLE

    def finish(self, *artifacts: Artifact, text: str = "Here it is.") -> None:
        client = sync_client(self.slack.bot_token, self.slack.api_url)
        calls = Calls(client, Limits(MemoryRates(), "bot", minute=0.001))
        channel = SlackChannel(lambda _: calls, Pace(settle_seconds=self.settle))
        address = f"slack:C0GENERAL/{self.ask}"
        request = Request(text="Hi?", order=float(self.ask), reply_to=(address,))
        turn = Turnover("job1", "writing", request, asked_at=time.time())
        self.journal.attempt += 1
        post = channel.open(address, turn, self.journal)
        post.show(Draft(status="Writing"))
        post.finish(Reply(text=text, artifacts=artifacts))

    @property
    def files(self) -> list[str]:
        seen = self.slack.messages("C0GENERAL", self.ask)
        return [file["name"] for message in seen for file in message.files]

    @property
    def answers(self) -> list[str]:
        return [each.shown for each in self.slack.answers("C0GENERAL", self.ask)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with SlackStandIn() as stand_in:
        stand_in.redeliver_after()
        yield Scene(stand_in)


def test_a_long_artifact_is_a_file_below_the_answer(scene: Scene) -> None:
    scene.finish(LONG)

    [upload] = scene.slack.workspace.uploads.values()
    assert scene.files == ["main.py"]
    assert upload.content == CODE.encode()
    assert scene.answers == ["Here it is."]


def test_a_short_artifact_stands_in_the_text_in_a_fence_of_its_own(scene: Scene) -> None:
    scene.finish(SHORT)

    assert scene.files == []
    assert scene.answers == ["Here it is.\n\n`fix.sh`\n````sh\necho ```done```\n````"]


def test_what_the_text_holds_already_is_not_said_twice(scene: Scene) -> None:
    scene.finish(Artifact(name="a.py", text="x = 1\n"), text="So:\n```python\nx = 1\n```")

    assert scene.answers == ["So:\n```python\nx = 1\n```"]


def test_finishing_again_shares_nothing_again(scene: Scene) -> None:
    scene.finish(LONG)

    scene.finish(LONG)

    assert scene.files == ["main.py"]


@pytest.mark.parametrize("done", [True, False], ids=["shared", "not shared"])
@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_a_crash_at_any_step_leaves_exactly_one_file(scene: Scene, step: str, done: bool) -> None:
    scene.slack.fail(step, Fault.breaks(done=done))
    with pytest.raises(ChannelUnavailable) as failed:
        scene.finish(LONG)

    time.sleep(failed.value.retry_after)
    scene.finish(LONG)

    assert scene.files == ["main.py"]
    assert scene.answers == ["Here it is."]


def test_a_share_that_may_still_appear_is_waited_for(scene: Scene) -> None:
    scene.settle = 600
    scene.slack.fail("files.completeUploadExternal", Fault.resets(done=False))
    with pytest.raises(ChannelUnavailable):
        scene.finish(LONG)

    with pytest.raises(ChannelUnavailable) as failed:
        scene.finish(LONG)

    assert 0 < failed.value.retry_after <= 600
    assert scene.files == []


def test_without_the_permission_the_answer_says_so(scene: Scene) -> None:
    scene.slack.scopes.remove("files:write")

    scene.finish(LONG)

    [answer] = scene.slack.answers("C0GENERAL", scene.ask)
    assert answer.shown == "Here it is."
    assert "src/main.py (not shared: Slack says missing_scope (scope files:write)" in (
        answer.small_print
    )


def test_a_name_that_is_a_path_or_worse_is_a_files_name(scene: Scene) -> None:
    scene.finish(Artifact(name="..\\..\\a\u202eb/../../e\x00vil.py", text=CODE))

    assert scene.files == ["evil.py"]


def test_what_is_no_text_is_a_file_with_its_bytes(scene: Scene) -> None:
    scene.finish(Artifact(name="note.docx", data=b"PK\x03\x04\xff"))

    [upload] = scene.slack.workspace.uploads.values()
    assert upload.content == b"PK\x03\x04\xff"
    assert scene.files == ["note.docx"]
