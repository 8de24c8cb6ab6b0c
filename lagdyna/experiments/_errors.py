class UserError(ValueError):
    """A mistake of the user's that one sentence explains: what was given, what is accepted.

    The command line prints the sentence and exits with code 2.
    """
