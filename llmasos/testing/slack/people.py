"""User groups in the stand-in."""

from llmasos.testing.slack.workspace import Json, Workspace


def groups(workspace: Workspace, arguments: Json) -> Json:
    """The user groups there are, with their members if these are asked for."""
    told: list[Json] = [{"id": group, "handle": group.lower()} for group in workspace.groups]
    if str(arguments.get("include_users")).lower() in ("1", "true"):
        told = [{**each, "users": workspace.groups[each["id"]]} for each in told]
    return {"usergroups": told}


METHODS = {"usergroups.list": (groups, "usergroups:read")}
