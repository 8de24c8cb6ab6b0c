from ._data_error import DataError

LIMIT_BYTES = 2 * 2**30
"""Default limit on the memory of a file's arrays, in bytes."""


def check_limit(source: str, needed: int, limit_bytes: int) -> None:
    """Raise `DataError` if arrays need more than `limit_bytes` of memory."""
    if needed > limit_bytes:
        raise DataError(
            f"{source}: its arrays take {_format_size(needed)} in memory and the limit is "
            f"{_format_size(limit_bytes)}; split the file, or pass a larger `limit_bytes`"
        )


def _format_size(size: int) -> str:
    """Format a number of bytes."""
    return f"{size / 2**30:.3g} GiB" if size >= 2**20 else f"{size} bytes"
