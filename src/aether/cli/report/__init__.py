"""The HTML report: one self-contained page about one run.

In: the run's view, the document, and the log entries of the store if it kept any. Out: the page as text.
It asks no server for anything, runs no script but its own (a content security policy says so), and
holds every value as JSON that cannot end its script element.
"""

from .page import report_page as report_page
