"""What can be told of a text without a model: words, questions, support, follow-ups, phrases."""
