"""One module for each group of sections; each function returns a section of one data set."""
