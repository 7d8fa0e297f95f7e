"""A FastAPI application that calls the function in its own process."""

from __future__ import annotations

import fastapi
import pydantic

from tests.bench.peers import echo

app = fastapi.FastAPI()


class Arguments(pydantic.BaseModel):
    text: str


@app.post("/")  # type: ignore[untyped-decorator]
async def call(arguments: Arguments) -> str:
    return echo.echo(arguments.text)
