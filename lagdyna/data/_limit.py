from ._data_error import DataError

LIMIT_BYTES = 2 * 2**30
"""The most memory that the arrays of a file may take unless the caller allows more."""


def check_limit(source: str, needed: int, limit_bytes: int) -> None:
    """Refuses arrays of more than `limit_bytes`, before they are read."""
    if needed > limit_bytes:
        raise DataError(
            f"{source}: its arrays take {_gib(needed)} in memory and the limit is "
            f"{_gib(limit_bytes)}; split the file, or pass a larger `limit_bytes`"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**20 else f"{size} bytes"
