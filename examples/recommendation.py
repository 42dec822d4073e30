"""Books for a reader: `python examples/recommendation.py "a calm story about the sea"`"""

import sys

from llmasos import Item, Profile, Recommender
from llmasos.embeddings import Embeds

BOOKS = [
    Item("whale", "A captain hunts a white whale across the oceans.", {"language": "en"}),
    Item("lighthouse", "A quiet summer of a family by the sea.", {"language": "en"}),
    Item("robots", "Robots and the three laws that they live by.", {"language": "en"}),
    Item("android", "A hunter of androids asks what makes us human.", {"language": "en"}),
    Item("meer", "Ein alter Fischer fährt allein auf das Meer hinaus.", {"language": "de"}),
    Item("bread", "How to bake bread at home, step by step.", {"language": "en"}),
]


def books_for(profile: Profile, wish: str, embedder: Embeds | None = None) -> list[str]:
    """The ids of two books in English."""
    found = Recommender(BOOKS, embedder=embedder).recommend(
        profile, wish, k=2, where={"language": "en"}
    )
    return [each.item.id for each in found]


if __name__ == "__main__":
    print(books_for(Profile(liked=["whale"], disliked=["bread"]), " ".join(sys.argv[1:])))
