from .._errors import DataError as DataError


def one_line(error: BaseException) -> str:
    """Format an exception of another library on one line."""
    return " ".join(str(error).split()) or type(error).__name__
