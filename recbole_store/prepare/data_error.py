"""What is wrong with raw data or with the arguments that describe it."""


class DataError(ValueError):
    """Input that cannot become a data set; the message is one sentence for the user."""


class BadValue(ValueError):
    """A value that cannot be read; whoever knows the file and line turns it into a DataError."""
