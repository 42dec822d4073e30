"""What one run of an agent may use. Part of an agent and of the settings; `meter.py` counts."""

from pydantic import BaseModel, ConfigDict, Field


class RunLimits(BaseModel):
    """What one run of an agent may use."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    tokens: int = Field(default=200_000, ge=1)
    """Tokens of all its prompts and answers together."""
    model_calls: int = Field(default=200, ge=1)
    """How often it may ask the model."""
    tool_calls: int = Field(default=20, ge=0)
    """How often it may call a tool."""
    seconds: float = Field(default=600.0, gt=0)
    """Seconds that it may take."""
