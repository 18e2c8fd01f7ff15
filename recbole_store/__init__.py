"""STORE inside RecBole: one LLM tokenizes items and recommends them (arXiv 2409.07276).

The flow, folder by folder::

    item text -> dense tokens -> codes          recbole_store/tokenizer/
    codes of the history -> codes of the next   recbole_store/generator/
    the one LLM behind both                     recbole_store/llm.py
    what RecBole sees                           recbole_store/model/, recbole_plugin.py, trainer.py

Vocabulary: an item's *text* becomes ``L`` *dense tokens* (LLM vectors), each is quantized to a
*code* in ``[0, C)`` at its *level*, and the codes with one disambiguation level behind them are the
item's *semantic ID*. Shapes use B (batch), T (items of a history), L (levels of a semantic ID,
disambiguation included), C (codes of a level), K (beams), H (width of the LLM), N (items).

``import recbole_store`` is all RecBole needs to know ``STORE``. Preparing and checking data sets
needs neither RecBole nor torch: those commands set ``RECBOLE_STORE_REGISTER=0`` and start at once.
"""

import os

__version__ = "0.1.0"

if os.environ.get("RECBOLE_STORE_REGISTER") != "0":
    from recbole_store.recbole_plugin import register

    register()
