"""MkDocs hook: expand API pages, and link from the guides to files of the repository.

``<!-- members: MODULE -->`` on a page becomes the documentation of the module and of each of its public members.
"""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.members import members_of

MARKER = re.compile(r"^<!-- members: ([\w.]+) -->$", re.MULTILINE)


def expand(module: str) -> str:
    """Return the mkdocstrings directives of a module and its public members."""
    options = ("options:", "  members: false", "  show_root_heading: false", "  show_root_toc_entry: false")
    head = f"::: {module}\n" + "".join(f"    {line}\n" for line in options)
    return "\n".join([head, *(f"::: {module}.{name}\n" for name in members_of(module))])


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", **_: object) -> str:
    """Expand the markers of a page, and make its links that leave docs/ absolute."""
    markdown = MARKER.sub(lambda match: expand(match[1]), markdown)
    depth = page.file.src_uri.count("/") + 1
    outside = f"{config.repo_url}/blob/main/"
    return re.sub(rf"\]\((?:\.\./){{{depth}}}(?=\w)", f"]({outside}", markdown)
