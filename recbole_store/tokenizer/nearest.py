"""Nearest neighbours of histories, on any representation of items; nothing is trained.

It is the yardstick of every representation: a tokenizer that recommends worse by its own vectors
than a bag of words does has lost what the texts said.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from recbole_store.data.item_texts import join_fields

LAST = 20  # items of a history that count; at a decay of .5 more would weigh nothing


class WordBags:
    """TF-IDF, sublinear and in lower case, with the words and counts of a catalogue.

    Args:
        texts: of the catalogue.
    """

    def __init__(self, texts: list[str]):
        # Any run of letters or digits is a word, a single one as well.
        self.words = TfidfVectorizer(
            sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32
        )
        self.has_words = any(any(sign.isalnum() for sign in text) for text in texts)
        if self.has_words:
            self.words.fit(texts)

    def __call__(self, texts: list[str]) -> sparse.csr_matrix:
        """Any texts -> CSR [N, V]; rows of unit length.

        A text without a word that the catalogue knows, such as that of padding, is a row of zeros.
        """
        if not self.has_words:
            return sparse.csr_matrix((len(texts), 1), dtype=np.float32)
        return self.words.transform(texts).tocsr()


def with_texts(
    words: sparse.csr_matrix, bags: WordBags, fields: list[list[str]]
) -> sparse.csr_matrix:
    """Bags of words [N, V] with those of new items' texts behind them, given field by field."""
    if not fields:
        return words
    return sparse.vstack([words, bags([join_fields(parts) for parts in fields])]).tocsr()


def bags_of_words(texts: list[str]) -> sparse.csr_matrix:
    """A catalogue's texts as :class:`WordBags`, CSR [N, V]."""
    return WordBags(texts)(texts)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors [N, D] at length 1, fp32; rows of zeros stay."""
    return normalize(np.asarray(vectors, dtype=np.float32))


def principal_axes(vectors: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] of vectors [N, D] and their first axes, scaled so that each has variance 1.

    Returns:
        mean and axes [<= width, D]: ``(vectors - mean) @ axes.T`` is whitened.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    mean = vectors.mean(0)
    _, lengths, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    # A component that is rounding alone would count as much as any other.
    is_real = lengths[:width] > 1e-6 * max(lengths[0], 1e-12)
    scale = lengths[:width][is_real] / np.sqrt(len(vectors))
    return mean.astype(np.float32), (axes[:width][is_real] / scale[:, None]).astype(np.float32)


def by_both_totals(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """How often items occur together, divided by the root of both items' totals, CSR [N, N].

    Example: counts [[0, 2], [2, 0]] -> [[0, 1], [1, 0]]
    """
    totals = np.asarray(counts.sum(1)).ravel()
    roots = sparse.diags(1 / np.sqrt(np.where(totals > 0, totals, 1)))
    return (roots @ counts @ roots).tocsr().astype(np.float32)


def decayed(
    histories: np.ndarray, lengths: np.ndarray, decay: float, n_items: int
) -> sparse.csr_matrix:
    """Histories as weights of items, CSR [B, n_items]: decay^0 for the last, decay^1 before it.

    Args:
        histories: item_ids [B, T], right-padded by 0.
        lengths: [B].

    Example: histories [[4, 7, 0]], lengths [2], decay .5 -> 1 for item 7, .5 for item 4
    """
    age = lengths[:, None] - 1 - np.arange(histories.shape[1])[None]
    rows, places = np.nonzero((age >= 0) & (age < LAST) & (histories > 0))
    weights = np.power(decay, age[rows, places], dtype=np.float32)
    items = histories[rows, places]
    return sparse.csr_matrix((weights, (rows, items)), shape=(len(histories), n_items))


def likeness(weights: sparse.csr_matrix, vectors) -> np.ndarray:
    """Summed cosines of all items to the items of histories, fp32 [B, N].

    Args:
        weights: of :func:`decayed`, [B, N].
        vectors: rows of unit length, array or CSR [N, D].
    """
    found = (weights @ vectors) @ vectors.T
    return found.toarray() if sparse.issparse(found) else np.asarray(found, dtype=np.float32)
