"""Installations: the workspaces that have added the app, and the bot's token in each.

Slack's own flow (`install.py`) saves here through the SDK's port; workers and edges read the token
of the workspace that they answer in. A token is sealed with a key made of the app's client secret,
so that neither the database nor a backup tells it. Start reading at `Installations.save`.
"""

import asyncio
import base64
import time
from collections.abc import Collection
from dataclasses import dataclass, field

import structlog
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from slack_bolt.error import BoltError
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from sqlalchemy import RowMapping, delete, select

from integrations.slack.address import WORKSPACE
from llmasos.database import Database
from llmasos.settings import SlackSettings
from llmasos.tables import slack_installations

log = structlog.get_logger()

ANY = "*"
"""What stands for every workspace in `[slack.workspaces]`."""


class NotTaken(BoltError):
    """An installation is not kept; the argument says why, for whoever installs."""


@dataclass(frozen=True)
class Installed:
    """The app in one workspace."""

    workspace: str
    name: str
    bot_user: str
    bot_id: str
    scopes: tuple[str, ...]
    installed_at: float
    token: str | None = field(repr=False)
    """None when it was sealed with another client secret."""


class Installations(AsyncInstallationStore):
    """The workspaces that have the app: the SDK's `AsyncInstallationStore`, and plain methods.

    secret: the app's client secret; allowed: the workspaces that may add the app.
    """

    def __init__(self, database: Database, secret: str, allowed: Collection[str]) -> None:
        self._database, self._allowed = database, allowed
        self._seal = _seal(secret)

    def save(self, installation: Installation) -> None:
        """Keep an installation in the place of an older one. Raises NotTaken."""
        workspace = str(installation.team_id or "")
        self._check(installation, workspace)
        sealed = self._seal.encrypt(str(installation.bot_token).encode()).decode()
        row = {
            "name": str(installation.team_name or "")[:200],
            "bot_user": str(installation.bot_user_id),
            "bot_id": str(installation.bot_id or ""),
            "scopes": ",".join(installation.bot_scopes or ()),
            "sealed_token": sealed,
            "installed_by": str(installation.user_id or "")[:40],
            "installed_at": time.time(),
        }
        put = self._database.insert(slack_installations).values(workspace=workspace, **row)
        with self._database.writing() as connection:
            connection.execute(put.on_conflict_do_update(index_elements=["workspace"], set_=row))
        log.info("slack.installed", workspace=workspace, by=row["installed_by"])

    def find(self, workspace: str) -> Installed | None:
        """The app in a workspace, if it is there and still allowed."""
        if not self._allows(workspace):
            return None
        query = select(slack_installations).where(slack_installations.c.workspace == workspace)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return self._of_row(row) if row is not None else None

    def all(self) -> tuple[Installed, ...]:
        """The app in every workspace that has it, and still may."""
        query = select(slack_installations).order_by(slack_installations.c.workspace)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(self._of_row(row) for row in rows if self._allows(row["workspace"]))

    def remove(self, workspace: str, at: float | None = None) -> None:
        """Forget a workspace: its token is worth nothing any more.

        at: when the app was removed there, in seconds since the epoch; what was added later stays.
        """
        kept = slack_installations.c
        gone = delete(slack_installations).where(kept.workspace == workspace)
        if at is not None:
            gone = gone.where(kept.installed_at <= at + 1)  # Slack's times are whole seconds
        with self._database.writing() as connection:
            if connection.execute(gone).rowcount:
                log.info("slack.uninstalled", workspace=workspace)

    def _check(self, installation: Installation, workspace: str) -> None:
        if installation.is_enterprise_install or not WORKSPACE.fullmatch(workspace):
            raise NotTaken("The app is added to one workspace at a time, not to an organisation.")
        if not self._allows(workspace):
            raise NotTaken(
                f"The workspace {workspace} may not add this app. Whoever runs it can allow that "
                f"with [slack.workspaces.{workspace}] in llmasos.toml."
            )
        if not installation.bot_token or not installation.bot_user_id:
            raise NotTaken("Slack gave no bot token: the app's manifest names no bot scopes.")
        if installation.bot_refresh_token:
            raise NotTaken(
                "This app's tokens are rotated, which LLMasOS does not do. Make an app from the "
                "manifest of `llmasos slack manifest`."
            )

    def _allows(self, workspace: str) -> bool:
        return workspace in self._allowed or ANY in self._allowed

    def _of_row(self, row: RowMapping) -> Installed:
        try:
            token = self._seal.decrypt(row["sealed_token"].encode()).decode()
        except InvalidToken:
            token = None
        return Installed(
            workspace=row["workspace"],
            name=row["name"],
            bot_user=row["bot_user"],
            bot_id=row["bot_id"],
            scopes=tuple(filter(None, row["scopes"].split(","))),
            installed_at=row["installed_at"],
            token=token,
        )

    async def async_save(self, installation: Installation) -> None:
        """The port's `save`."""
        await asyncio.to_thread(self.save, installation)

    async def async_find_bot(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        is_enterprise_install: bool | None = False,
    ) -> Bot | None:
        """The bot in a workspace, in the SDK's form."""
        found = await asyncio.to_thread(self.find, team_id or "")
        if found is None or found.token is None:
            return None
        return Bot(
            team_id=found.workspace,
            team_name=found.name,
            enterprise_id=enterprise_id,
            bot_token=found.token,
            bot_id=found.bot_id,
            bot_user_id=found.bot_user,
            bot_scopes=found.scopes,
            installed_at=found.installed_at,
        )

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """The port's `remove`."""
        await asyncio.to_thread(self.remove, team_id or "")

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """A person's own token is not kept: there is nothing to delete."""


def installations_of(settings: SlackSettings, database: Database) -> Installations | None:
    """The installations of an app that workspaces add; None with a bot token of its own."""
    if settings.client_secret is None:
        return None
    return Installations(database, settings.client_secret.get_secret_value(), settings.workspaces)


def _seal(secret: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=b"llmasos: tokens of Slack workspaces")
    return Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))
