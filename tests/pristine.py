"""RecBole as it is installed, beside the RecBole that the plugin has changed."""

from __future__ import annotations

import importlib.util


def pristine(name: str):
    """A second copy of one of RecBole's modules, which nobody changed; the first stays in place."""
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
