"""The one error type that crosses from the worker to the operator's machine."""


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
