"""How Sphinx builds the pages of this folder: `make docs`, without the network.

MyST reads Markdown, MyST-NB runs the notebooks, and ``extension/`` takes from the package what the
package knows best: options, questions of the checks, docstrings.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

project = "bayesinf"
author = copyright = "the authors of bayesinf"
html_title = "bayesinf"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "extension",
]
exclude_patterns = ["extension", "README.md"]
# Reports whose pictures and pages the site shows, where there are any.
bayesinf_reports = os.environ.get("BAYESINF_REPORTS", str(ROOT / "reports"))

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A notebook is run when it has changed; `make test-docs` runs all.
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "site" / ".notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "remove"
nb_number_source_lines = False
# Without this MyST-NB links to a server of scripts, which no page here needs.
nb_ipywidgets_js = {}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_custom_sections = ["Returns"]  # words, where NumPy's style has a type
smartquotes = False
toc_object_entries = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["house.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
