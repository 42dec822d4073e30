"""An agent as a plug-in: rolls the dice that a message asks for, such as `2d6`."""

import random
import re
from collections.abc import Iterator

from llmasos import Reply, Turn, agent


@agent("dice", examples=["roll 2d6", "throw a die"])
def dice(turn: Turn) -> Iterator[Reply]:
    """Rolls dice."""
    asked = re.search(r"(\d{0,2})d(\d{1,3})", turn.text)
    count, sides = (int(asked[1] or 1), int(asked[2])) if asked else (1, 6)
    rolled = [random.randint(1, max(1, sides)) for _ in range(count)]
    yield Reply(text=f"{count}d{sides}: {' + '.join(map(str, rolled))} = {sum(rolled)}")
