"""The certificate of the operator's own endpoints: read from a folder, and again when it changes.

The kubelet puts a renewed Secret in place without a restart.
"""

from __future__ import annotations

import asyncio
import pathlib
import ssl

import structlog

log = structlog.get_logger()

LOOK_SECONDS = 30.0
CERTIFICATE, KEY = "tls.crt", "tls.key"
"""As Secrets of type kubernetes.io/tls have them."""


class Certificate:
    """A server's TLS context.

    Args:
        folder: Of the certificate and its key.

    Raises:
        OSError: They cannot be read, or do not fit each other; the message names the folder.

    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._state()
        self._load()

    async def follow(self, every: float = LOOK_SECONDS) -> None:
        """Take in a renewed certificate until cancelled; one that cannot be used is passed over."""
        while True:
            await asyncio.sleep(every)
            try:
                state = self._state()
                if state != self._seen:
                    self._load()
                    self._seen = state
                    log.info("certificate renewed", folder=str(self._folder))
            except OSError as error:
                log.warning("certificate not renewed", error=str(error))

    def _load(self) -> None:
        try:
            self.context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        except OSError as error:  # ssl.SSLError is one
            raise self._unusable(error) from error

    def _state(self) -> tuple[tuple[int, int], ...]:
        try:
            states = [(self._folder / name).stat() for name in (CERTIFICATE, KEY)]
        except OSError as error:
            raise self._unusable(error) from error
        return tuple((each.st_mtime_ns, each.st_ino) for each in states)

    def _unusable(self, error: OSError) -> OSError:
        return OSError(
            f"{CERTIFICATE} and {KEY} in {self._folder} cannot be used: {error}; check the "
            "Secret that the chart value metrics.tls.secretName names"
        )
