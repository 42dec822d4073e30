"""How the database's schema came to be: one file a step in `versions/`, applied by Alembic.

Imported only by what changes the schema. `database.migrate` holds the lock. To add a step: write
`versions/NNNN_what.py` after the pattern of the others and raise `database.SCHEMA`.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from llmasos.errors import SchemaMismatch


def upgrade(connection: Connection, before: str) -> None:
    """Apply the steps that are missing, within the connection's transaction.

    before: the schema that the database has. Raises SchemaMismatch when it is not one of ours.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    steps = ScriptDirectory.from_config(config)
    if before and before not in {step.revision for step in steps.walk_revisions()}:
        raise SchemaMismatch(before, str(steps.get_current_head()))
    command.upgrade(config, "head")
