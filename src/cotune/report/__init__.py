"""One page about one or several runs: curves, scores, maps, recipe, versions.

The page reads the files of the run folders and nothing else, and needs no network.
"""

from ._page import build_page as build_page
from ._page import write_report as write_report
from ._sections import SECTIONS as SECTIONS
