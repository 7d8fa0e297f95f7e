"""What went wrong, named by what the caller should do about it.

```
ControllerError
├── RetryError        the same act may succeed later: conflict, throttling, time-out
│   └── NotLeaderError    another process may hold the Lease: no write may start
├── PermanentError    only an edit by somebody cures it: refused, invalid, forbidden
└── ProgrammerError   our own request was malformed: a defect
```
`cluster` translates every answer of the API server into one of these, once; nobody else looks at
HTTP status codes.
"""

from __future__ import annotations


class ControllerError(Exception):
    """Root of all errors of the controller."""


class RetryError(ControllerError):
    """The same act may succeed later.

    Args:
        message: For a person.
        after: Seconds that the server asked to wait; 0 if it did not say.
        code: HTTP status, 0 if there was no answer.

    """

    def __init__(self, message: str, *, after: float = 0.0, code: int = 0) -> None:
        super().__init__(message)
        self.after = after
        self.code = code


class NotLeaderError(RetryError):
    """This process may no longer write: its Lease is not renewed in time."""


class PermanentError(ControllerError):
    """Only an edit by somebody cures it.

    Args:
        message: What the server said.
        code: HTTP status.

    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class ProgrammerError(ControllerError):
    """Our own request was malformed."""
