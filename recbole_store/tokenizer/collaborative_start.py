"""Items' own vectors start from what training histories put together, not from noise.

A vector of its own learns an item's company from the few histories that hold the item. The
co-occurrences of all histories say most of it at once, so that training begins where several
epochs from noise would have led. The factors are those of the pointwise mutual information, which
is what word2vec's embeddings factor as well (Levy and Goldberg, NIPS 2014).
"""

from __future__ import annotations
