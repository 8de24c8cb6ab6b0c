class DataError(ValueError):
    """What is wrong with a user's data, in one sentence.

    The message names the file, the column and the row where there is one, what was found
    there and what is accepted. Nothing has been written when it is raised; a command line
    prints it alone and exits with code 2.
    """


def one_line(error: BaseException) -> str:
    """What a foreign library's exception says, without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
