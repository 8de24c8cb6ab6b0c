class DataError(ValueError):
    """Error in a user's data.

    The message is one sentence. It names the file, the column and the row if known, the
    value that was found, and the values that are accepted. No file has been written when it
    is raised. The command line prints only the message and exits with code 2.
    """


class UserError(ValueError):
    """Mistake of the user that one sentence explains: what was given, what is accepted.

    The command line prints the sentence and exits with code 2.
    """
