"""Translation with a glossary: `python examples/translation.py German "The invoice is paid."`"""

import sys
from collections.abc import Mapping

from llmasos import LLM, LLMApp

GLOSSARY = {"German": {"invoice": "Rechnung"}, "Chinese": {"invoice": "发票"}}


class Translator(LLMApp):
    """Translates into one language, with the words that the glossary wants."""

    def __init__(self, model: LLM, language: str, glossary: Mapping[str, str]) -> None:
        super().__init__(model, max_new_tokens=120)
        self.language, self.glossary = language, glossary

    def process_input(self, text: str) -> str:
        wanted = [f"{ours}: {theirs}" for ours, theirs in self.glossary.items() if ours in text]
        words = "\n".join(["Use these words:", *wanted]) if wanted else ""
        return f"Translate into {self.language}. Give the translation only.\n{words}\n\n{text}"


if __name__ == "__main__":
    language, text = sys.argv[1:3]
    model = LLM.from_pretrained("smollm2-135m-instruct")
    print(Translator(model, language, GLOSSARY.get(language, {})).run(text))
