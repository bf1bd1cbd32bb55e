"""The errors of the local stack; each message says what was found, what was expected and where to look."""


class StackError(Exception):
    """The stack cannot do what was asked."""


class NotReadyError(StackError):
    """A part does not answer as it should (yet); the message says how it answered."""
