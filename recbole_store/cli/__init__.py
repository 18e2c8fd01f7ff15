"""The command line: ``recbole-store COMMAND``, every command and what its words mean.

Each command is a module of its own, imported when it is asked for, so that ``--help`` and
``prepare`` answer at once, without torch::

    commands.py      which commands there are, and help on all of them
    entry.py         the first word
    run_words.py     train, compare, and the same without a name: --model=... --dataset=...
    quickstart.py    several commands in a row, for a table of one's own
    settings.py      the keys of a model
    completion.py    scripts that complete words in a shell
"""

from recbole_store.cli.commands import COMMANDS as COMMANDS
from recbole_store.cli.commands import RUNS as RUNS
from recbole_store.cli.entry import main as main
from recbole_store.cli.run_words import asked_anew as asked_anew
from recbole_store.cli.run_words import parser as parser
from recbole_store.cli.run_words import typed_properties as typed_properties
