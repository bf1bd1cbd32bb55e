"""Every error this package raises on purpose, on one page.

The class answers one question: may a retry help? ``StopError``: no. ``RetryError``: yes.
``PhotoError`` is neither: it concerns one photo, becomes that photo's row, and the night goes on.
Each takes one message, so that it survives pickling; the message names the photo or file, what was
found and what was expected, and never a patient.
"""

EXIT_STOP, EXIT_UNFORESEEN, EXIT_RETRY = 1, 70, 75
"""What the command line ends with after a StopError, an error that nobody foresaw, and a RetryError (the last two as in
BSD's sysexits.h), so that whoever started it knows what an exception would have told."""


class ScreeningError(Exception):
    """Base of every error this package raises on purpose."""


class StopError(ScreeningError):
    """A person has to change something first: do not retry."""


class SettingsError(StopError):
    """A setting is missing, misspelt or out of range."""


class ContractError(StopError):
    """A table, tensor or file breaks its contract."""


class TrainingError(StopError):
    """A training run cannot go on: its loss is no number, or its folder has no room."""


class AuditError(StopError):
    """The staged tables of a night failed the audit; nothing was published."""


class AccessError(StopError):
    """The object store or the model server refused our credentials."""


class MissingError(StopError):
    """A bucket, model, release or file that must exist does not."""


class MissingObjectError(MissingError):
    """One object is not in the store (any more); the caller decides whether the night goes on without it."""


class UnreadableFileError(MissingObjectError):
    """What is listed under this key is no file that we can read: a link to nothing, a pipe, a file of somebody else."""


class ChangedObjectError(StopError):
    """One object holds other bytes than when it was listed: the bytes that were asked for are gone."""


class RetryError(ScreeningError):
    """Something outside did not answer in time or in health: a retry may help."""


class StoreUnavailableError(RetryError):
    """The object store did not answer, or answered that it is overloaded."""


class ModelServerUnavailableError(RetryError):
    """Triton did not answer, or its canary inference failed."""


class ProcessEndedError(RetryError):
    """A process of ours was ended from outside, e.g. for want of memory: what it had finished is kept."""


class PhotoError(ScreeningError):
    """One photo cannot be used; ``reason`` is the code that its row carries."""

    def __init__(self, message: str, reason: str = "undecodable") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["PhotoError"], tuple[str, str]]:
        return type(self), (str(self), self.reason)
