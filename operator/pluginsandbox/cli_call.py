"""`pluginsandbox call`: one call over HTTP, its result on standard output."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from typing import Any

from pluginsandbox.sdk.client import TIMEOUT_SECONDS, function_path
from pluginsandbox.sdk.client_errors import TryAgainError, UncertainError
from pluginsandbox.sdk.transport import Answer, Transport

DEFAULT_URL = "http://127.0.0.1:8080"
TOLD_HEADERS = ("Server-Timing", "Sandbox-Binding")


class UsageError(ValueError):
    """The command line asks for something that cannot be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("plugin", help="name of the plugin, for example inventory-check")
    parser.add_argument("function", help="name of the function, for example reserve")
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="name=value",
        help="an argument; a value that is JSON (2, true, [1]) is sent as such, anything else as "
        "text; quote it once more to force text: zip='\"0123\"'",
    )
    parser.add_argument("--context", help="context to call in; absent: a fresh one for this call")
    parser.add_argument(
        "--bind",
        metavar="existing[; generation=N]",
        help="fail rather than start with fresh state",
    )
    parser.add_argument("--timeout-ms", type=int, metavar="N", help="tighten the call's time")
    parser.add_argument("--json", metavar="OBJECT", help="all arguments as one JSON object")
    parser.add_argument(
        "--url",
        default=os.environ.get("PLUGINSANDBOX_URL", DEFAULT_URL),
        help=f"where the sandbox serves (default: PLUGINSANDBOX_URL or {DEFAULT_URL})",
    )
    parser.add_argument("--quiet", action="store_true", help="print the result alone")


def run(options: argparse.Namespace) -> int:
    """Make the call; print the result, and on standard error how it went."""
    try:
        body = json.dumps(arguments(options.arguments, options.json)).encode()
        status, headers, answer = _post(options, body)
    except ValueError as error:
        print(f"pluginsandbox call: {error}", file=sys.stderr)
        return 2
    except UncertainError as error:
        print(f"pluginsandbox call: {error}; the call may have run", file=sys.stderr)
        return 1
    except TryAgainError as error:
        print(
            f"pluginsandbox call: {error}. Is the sandbox running? "
            "On a laptop: pluginsandbox run manifests/samples/shop.yaml; "
            "in a cluster: kubectl port-forward service/NAME 8080",
            file=sys.stderr,
        )
        return 1
    if not options.quiet:
        for name in TOLD_HEADERS:
            if name.lower() in headers:
                print(f"{name}: {headers[name.lower()]}", file=sys.stderr)
    ok = status == http.HTTPStatus.OK
    print(_pretty(answer), file=sys.stdout if ok else sys.stderr)
    return 0 if ok else 1


def arguments(pairs: list[str], whole: str | None) -> dict[str, Any]:
    """Read `name=value` words, or one JSON object.

    Raises:
        UsageError: A word has no `=`, a name comes twice, or `whole` is no JSON object.

    """
    if whole is not None:
        return _object(whole, pairs)
    result: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} must be name=value, for example quantity=2")
        if name in result:
            raise UsageError(f"argument {name!r} is given twice")
        result[name] = _value(text)
    return result


def _object(text: str, pairs: list[str]) -> dict[str, Any]:
    if pairs:
        raise UsageError("give either --json or name=value words, not both")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--json must be a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise UsageError('--json must be a JSON object, for example \'{"sku": "A-100"}\'')
    return value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _post(options: argparse.Namespace, body: bytes) -> Answer:
    headers = {"Content-Type": "application/json"}
    if options.context is not None:
        headers["Sandbox-Context"] = options.context
    if options.bind is not None:
        headers["Sandbox-Bind"] = options.bind
    if options.timeout_ms is not None:
        headers["Sandbox-Timeout-Ms"] = str(options.timeout_ms)
    transport = Transport(options.url, TIMEOUT_SECONDS)
    try:
        path = function_path(options.plugin, options.function)
        return transport.send("POST", path, body, headers)
    finally:
        transport.close()


def _pretty(answer: bytes) -> str:
    try:
        return json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
    except ValueError:
        return answer.decode(errors="replace")
