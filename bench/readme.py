"""Puts an experiment's figures into their place in a page."""


def replace(page: str, name: str, text: str) -> str:
    """The page with ``text`` between the two comments that name the experiment.

    Raises:
        ValueError: It lacks one of them.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
