class UserError(ValueError):
    """Mistake of the user that one sentence explains: what was given, what is accepted.

    The command line prints the sentence and exits with code 2.
    """
