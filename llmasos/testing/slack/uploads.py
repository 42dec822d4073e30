"""Files that the bot shares, in Slack's three steps: a place for it, its content, and a message."""

import uuid
from dataclasses import dataclass

from aiohttp import web

from llmasos.testing.slack.checks import Refusal
from llmasos.testing.slack.workspace import Json, Message, Workspace


@dataclass
class Upload:
    """A file on its way."""

    name: str
    length: int
    content: bytes | None = None
    shared: bool = False


def upload_url(workspace: Workspace, arguments: Json) -> Json:
    """A place for a file that is about to come."""
    length = int(arguments.get("length") or 0)
    if not arguments.get("filename") or length <= 0:
        raise Refusal("invalid_arguments")
    file_id = f"F{uuid.uuid4().hex[:10].upper()}"
    workspace.uploads[file_id] = Upload(str(arguments["filename"]), length)
    return {"file_id": file_id, "upload_url": f"{workspace.address}/upload/{file_id}"}


async def take(workspace: Workspace, request: web.Request) -> web.Response:
    """Its content."""
    upload = workspace.uploads.get(request.match_info["file"])
    content = await request.read()
    if upload is None or len(content) != upload.length:
        return web.Response(status=400, text="not what was announced")
    upload.content = content
    return web.Response(text=f"OK - {len(content)}")


def complete(workspace: Workspace, arguments: Json) -> Json:
    """Show files in a channel or thread."""
    files = arguments.get("files")
    channel = workspace.channels.get(str(arguments.get("channel_id")))
    if not isinstance(files, list) or not files:
        raise Refusal("invalid_arguments")
    if channel is None:
        raise Refusal("channel_not_found")
    if not channel.joined:
        raise Refusal("not_in_channel")
    for file in files:
        upload = workspace.uploads.get(str(file.get("id")))
        if upload is None or upload.content is None or upload.shared:
            raise Refusal("file_not_found")
        upload.shared = True
    shown = [{"id": f["id"], "name": workspace.uploads[f["id"]].name} for f in files]
    channel.messages.append(
        Message(
            ts=workspace.mint(),
            channel=channel.id,
            user=workspace.bot_user,
            bot_id=workspace.bot_id,
            thread_ts=arguments.get("thread_ts"),
            files=shown,
        )
    )
    return {"files": [{"id": file["id"], "title": file.get("title")} for file in files]}


METHODS = {
    "files.getUploadURLExternal": (upload_url, "files:write"),
    "files.completeUploadExternal": (complete, "files:write"),
}
