"""report.html: a comparison's results folder as one self-contained page.

    data.py        results folder -> runs, tidy table, protocol
    group.py       runs of one data set and protocol, and their figures: a chapter's data
    subject.py     a chapter, with what all its sections need
    estimates.py   users' values -> means, standard errors and 95% intervals
    machines.py    what the runs ran on
    examples.py    which users are shown, and what each model recommended to them
    item_map.py    dense vectors of items -> points in the plane
    figures.py     charts (plotly)
    formats.py     figures as text
    glossary.py    what each figure is, and which way is better
    blocks.py      tables, charts and paragraphs, as plain data
    sections/      what each section says
    page.py        the sections as one file; page.html escapes every text, page.css and page.js are
                   its looks and its behaviour

Tables hold the figures, charts illustrate them. What cannot be shown is said in its place.
"""
