class DataError(ValueError):
    """Error in a user's data.

    The message is one sentence. It names the file, the column and the row if known, the
    value that was found, and the values that are accepted. No file has been written when it
    is raised. The command line prints only the message and exits with code 2.
    """


def one_line(error: BaseException) -> str:
    """Format an exception of another library on one line."""
    return " ".join(str(error).split()) or type(error).__name__
