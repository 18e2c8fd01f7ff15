"""STORE inside RecBole: one LLM tokenizes items and recommends them (arXiv 2409.07276).

The flow, folder by folder::

    who runs, and how far it is                 processes/
    what a run is told                          settings/
    raw files -> atomic files -> item texts     data/
    the one LLM behind it all                   llm/
    item text -> dense tokens -> codes          tokenizer/
    codes of the history -> codes of the next   generator/
    one file a model                            model/
    what lives inside RecBole                   plugin/
    what a finished run can do                  recommender/
    one run, many runs, tables and page         experiments/
    every command of the command line           cli/

Beside them stands errors.py, with every error that is the input's. A folder imports from those
above it in this list, never from those below.

Vocabulary: an item's *text* becomes ``L`` *dense tokens* (LLM vectors), each is quantized to a
*code* in ``[0, C)`` at its *level*, and the codes with one disambiguation level behind them are the
item's *semantic ID*. Shapes use B (batch), T (items of a history), L (levels of a semantic ID,
disambiguation included), C (codes of a level), K (beams), H (width of the LLM), N (items).

``import recbole_store`` is all RecBole needs to know ``STORE``. Preparing and checking data sets
needs neither RecBole nor torch: those commands set ``RECBOLE_STORE_REGISTER=0`` and start at once.
"""

import os

__version__ = "0.1.0"


def load(folder, device=None, precision=None):
    """A finished run's model, from its folder; see recbole_store/recommender/recommender.py.

    Example: ``load("saved/run/model").recommend(items=["B0001", "B0002"], k=10)``
    """
    from recbole_store.recommender.recommender import Recommender

    return Recommender.load(folder, device, precision)


if os.environ.get("RECBOLE_STORE_REGISTER") != "0":
    from recbole_store.plugin.register import register

    register()
