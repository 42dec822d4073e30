"""Exposure: whether the web server may listen where other machines reach it.

Asked before anything starts, also by what starts the web server; so nothing heavy is imported here.
"""

from llmasos.database import Database, found_schema
from llmasos.errors import SettingsError
from llmasos.keys import Keys
from llmasos.network import is_loopback


def check_host(host: str, database: Database) -> None:
    """Raises SettingsError for an address that others can reach while no API key works."""
    if is_loopback(host):
        return
    with database.reading() as connection:
        migrated = found_schema(connection)
    if not migrated or not any(each.state == "active" for each in Keys(database).list()):
        raise SettingsError(
            "web.host",
            host,
            "there are no API keys here, so whoever reaches the server could use every agent. Make "
            "one first (llmasos keys add NAME), or use 127.0.0.1, ::1 or localhost. For webhooks "
            "and Slack from outside a reverse proxy is enough that passes on /hooks/ and /slack/ "
            "only.",
        )
