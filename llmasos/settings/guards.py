"""Settings of the guards: which messages are refused, and what models may see."""

from pydantic import Field

from llmasos.settings.kinds import Section, Words


class GuardSettings(Section):
    """What is checked before an agent works. Logs are always masked."""

    injection: bool = True
    """Refuse messages that try to turn an agent against its instructions."""
    max_length: int = Field(default=100_000, ge=0)
    """Longest message in characters; 0: any."""
    languages: Words = ()
    """Languages that are answered, as ISO codes such as `en`. Empty: all."""
    mask_models: bool = False
    """Hide secrets and personal data from models: they see `[EMAIL_1]`, and the answer gets the
    words again. By form (addresses, numbers, keys); names are not known."""
