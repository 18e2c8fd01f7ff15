"""report.html: a comparison's results folder as one self-contained page.

    data.py        results folder -> runs, tidy table, protocol
    estimates.py   ranks -> figures per user, means and 95% intervals
    examples.py    which users are shown, and what each model recommended to them
    item_map.py    dense vectors of items -> points in the plane
    figures.py     charts (plotly)
    markup.py      tables, charts and sections as HTML, every text escaped
    sections.py    what each section says
    page.py        the sections as one file; page.css and page.js are its looks and its behaviour

Tables hold the figures, charts illustrate them. What cannot be shown is said in its place.
"""
