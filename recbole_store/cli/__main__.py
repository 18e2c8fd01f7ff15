"""``python -m recbole_store.cli``, as the processes of a comparison are started."""

import sys

from recbole_store.cli.entry import main

sys.exit(main())
