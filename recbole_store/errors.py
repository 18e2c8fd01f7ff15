"""Every error that means "the input is wrong": one sentence for the user and exit status 2.

The command line shows the message alone; a traceback is for what is our own fault.
"""

from __future__ import annotations

LONGEST = 1500  # characters of a sentence, whatever value it quotes


def one_sentence(text: str) -> str:
    """A text as one line, of which a part goes where what it quotes is very long.

    Example: "a\\nb" -> "a\\\\nb", on one line
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if len(shown) <= LONGEST:
        return shown
    half = LONGEST // 2
    return f"{shown[:half]} [...] {shown[-half:]}"


class _Told(Exception):
    """An error whose message is one sentence, whatever it quotes of files and settings."""

    def __str__(self) -> str:
        return one_sentence(super().__str__())


class InputError(_Told, ValueError):
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


class RunError(_Told, RuntimeError):
    """A run broke after it had begun: exit status 1; the message says where, and what to do."""


class Diverged(RunError):
    """Training came to losses or weights that are no numbers."""


class NotKept(RunError):
    """A results folder cannot be written, full as it is, say; the run itself is whole."""


class DamagedState(RunError):
    """A file that a run wrote is not what it wrote."""
