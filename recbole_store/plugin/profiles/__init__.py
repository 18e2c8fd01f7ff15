"""``--profile=auto``: settings of STORE by the data and the machine, each with its reason."""
