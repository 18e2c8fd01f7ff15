"""Every error that means "the input is wrong": one sentence for the user and exit status 2.

The command line shows the message alone; a traceback is for what is our own fault.
"""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot lead to a result; the message says what, where, and what to do."""


class SettingsError(InputError):
    """Settings, or the data under them, cannot lead to a run."""


class RecBoleMissing(SettingsError, ImportError):
    """RecBole is not installed; the message says how it is."""


class BackboneError(InputError):
    """A language model or text encoder cannot be had; the message says what to do."""


class ItemTextError(InputError):
    """Items' texts cannot be read."""


class NoCodesError(InputError):
    """The tokenizer has no codes for an item it was not fitted on."""


class DisambiguationOverflow(InputError):
    """More items share one tuple of codes than the disambiguation level has codes."""


class ModelFolderError(InputError):
    """A finished model's folder cannot be read or written."""


class RequestError(InputError):
    """A finished model is asked for what it cannot do, such as to take an item without a text."""


class UnknownItemError(RequestError):
    """A finished model does not have an item."""


class DataError(InputError):
    """Raw data cannot become a data set."""


class BadValue(InputError):
    """A value that cannot be read; whoever knows the file and line turns it into a DataError."""


class RunError(RuntimeError):
    """A run broke after it had begun: exit status 1; the message says where, and what to do."""


class Diverged(RunError):
    """Training came to losses or weights that are no numbers."""


class DamagedState(RunError):
    """A file that a run wrote is not what it wrote."""
