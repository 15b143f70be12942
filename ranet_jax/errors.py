"""The one exception that stands for a mistake in what the user gave us."""


class InputError(ValueError):
    """Bad input: a file, a mask, a checkpoint or a setting that cannot be used.

    Its message is one sentence for the person at the keyboard: what is wrong and what to do about
    it. The command line prints that sentence and exits with status 2; a traceback would add
    nothing.
    """
