"""CODES -> SCORES: sequences of codes, the trie of existing items, beam search, item scores."""
