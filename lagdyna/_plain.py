def plain(text: str) -> str:
    """Escape control characters, which names in files may hold and terminals obey."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
