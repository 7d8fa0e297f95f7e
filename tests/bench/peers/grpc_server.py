"""gRPC servers of the function: `grpc_server aio|sync PORT`. Bytes go to it as they came."""

from __future__ import annotations

import asyncio
import sys
from concurrent import futures
from typing import Any

import grpc
import uvloop

from tests.bench.peers import echo

SERVICE = "bench.Echo"
SYNC_THREADS = 4


def call(body: bytes, context: Any) -> bytes:
    del context
    return echo.answer(body)


async def call_async(body: bytes, context: Any) -> bytes:
    del context
    return echo.answer(body)


def handler(function: Any) -> Any:
    methods = {"Echo": grpc.unary_unary_rpc_method_handler(function)}
    return grpc.method_handlers_generic_handler(SERVICE, methods)


async def serve_async(address: str) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler(call_async),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def serve_sync(address: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(SYNC_THREADS))
    server.add_generic_rpc_handlers((handler(call),))
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    kind, port = sys.argv[1:]
    if kind == "aio":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_async(f"127.0.0.1:{port}"))
    else:
        serve_sync(f"127.0.0.1:{port}")
