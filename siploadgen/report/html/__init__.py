"""The HTML report: one file that opens without a network, with everything a capacity reader asks.

`page` makes it from the object of run.json and the history of the run. Texts are escaped by the
template engine; the chart library is taken from the plotly package, compressed, and so are the
numbers. Without that package the page has all its texts and tables, and says what is missing.
"""

from siploadgen.report.html.assembly import page

__all__ = ["page"]
