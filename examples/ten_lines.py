"""An agent in ten lines. Name this file in `llmasos.toml`: `load = ["./examples/ten_lines.py"]`."""

from llmasos import Agent

billing = Agent(
    name="billing",
    description="Invoices, refunds and orders.",
    instructions="Answer from the sources. Be brief.",
    knowledge=["help-center"],
    examples=["Where is my invoice?"],
)
