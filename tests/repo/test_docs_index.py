"""Nobody gets lost in the docs: the index leads to every page, and every page back to the index."""

from __future__ import annotations

from pages import ROOT, links

DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"
PAGES = sorted(page for page in DOCS.glob("*.md") if page != INDEX)


def test_the_index_leads_to_every_page() -> None:
    assert {page.name for page in PAGES} <= set(links(INDEX))


def test_every_page_leads_back_to_the_index() -> None:
    assert [page.name for page in PAGES if "index.md" not in set(links(page))] == []


def test_the_readme_leads_to_the_index() -> None:
    assert "docs/index.md" in set(links(ROOT / "README.md"))
