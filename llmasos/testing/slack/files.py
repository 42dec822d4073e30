"""What the stand-in serves beside the Web API: attached files, and response URLs."""

from aiohttp import web

from llmasos.testing.slack.workspace import Json, Workspace

USES = 5
"""How often a response URL takes a message."""
LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body></body></html>"


def give(workspace: Workspace, file_id: str, *, allowed: bool) -> web.Response:
    """A file's content; who is not allowed gets a login page with status 200."""
    if not allowed:
        return web.Response(text=LOGIN_PAGE, content_type="text/html")
    if file_id == "REDIRECT":
        raise web.HTTPFound("http://127.0.0.1:9/elsewhere")
    file = workspace.files.get(file_id)
    if file is None:
        raise web.HTTPNotFound
    return web.Response(body=file.content, content_type=file.media_type)


def take_response(workspace: Workspace, response_id: str, message: Json) -> web.Response:
    """Take a message to one person."""
    sent = workspace.responses.get(response_id)
    if sent is None or len(sent) >= USES:
        return web.json_response({"ok": False, "error": "used_url"}, status=404)
    sent.append(message)
    return web.Response(text="ok")
