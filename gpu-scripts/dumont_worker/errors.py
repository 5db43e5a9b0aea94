"""The one error type that crosses from the worker to the operator's machine."""

from .cancellation import Cancelled


class WorkerError(Exception):
    """A failure: code of src/lib/errors.ts, message what happened, hint what to do."""

    def __init__(
        self, code: str, message: str, hint: str | None = None, retry: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retry = retry

    def __reduce__(self) -> tuple[type["WorkerError"], tuple[str, str, str | None, bool]]:
        """Lets the error travel from an engine process to the coordinator."""
        return WorkerError, (self.code, self.message, self.hint, self.retry)


def integrity(what: str) -> WorkerError:
    """Bytes of the store are not what the snapshot says they are."""
    return WorkerError("INTEGRITY", what)


def as_worker_error(error: BaseException) -> WorkerError:
    """The error to show for whatever was raised."""
    if isinstance(error, WorkerError):
        return error
    if isinstance(error, MemoryError):
        return WorkerError("WORKER", "out of memory", "try a smaller --memory", True)
    if isinstance(error, Cancelled):
        return WorkerError("INTERRUPTED", "interrupted")
    return WorkerError("WORKER", f"{type(error).__name__}: {error}"[:1000])
