"""What every model of the kind shares: how it is read, and rules told once for two readers.

A rule is written as CEL for the API server and as Python for `pluginsandbox run`, with one message;
`api.crd` finds it in the JSON schema, pydantic runs it. Objects are read tolerantly (fields of a
newer CRD are ignored) and written strictly (`dump`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from pluginsandbox.api.descriptions import attribute_docs

T = TypeVar("T")

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """One check of a value, for the API server and for the models.

    Args:
        cel: True in CEL when `self` is well.
        check: The same in Python.
        message: Names the field and says what it must be.
        field: Path below the value that the message is about, such as `.digest`.

    """

    cel: str
    check: Callable[[Any], bool]
    message: str
    field: str = ""

    def as_schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        path = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.cel, "message": self.message, **path}

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda value: obey((self,), value), handler(source)
        )

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        schema[VALIDATIONS] = [*schema.get(VALIDATIONS, ()), self.as_schema()]
        return schema


def obey(rules: Sequence[Rule], value: T) -> T:
    """Return `value`, or raise the messages of all rules that it breaks."""
    broken = [rule.message for rule in rules if not rule.check(value)]
    if broken:
        raise PydanticCustomError("rule", "{message}", {"message": "; ".join(broken)})
    return value


@dataclasses.dataclass(frozen=True)
class ListMap:
    """A list whose items are told apart by `keys`, names of their fields in the API."""

    keys: tuple[str, ...] = ("name",)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | {LIST_TYPE: "map", LIST_MAP_KEYS: list(self.keys)}

    def _unique(self, items: Sequence[Model]) -> Sequence[Model]:
        seen: set[Hashable] = set()
        for item in items:
            dumped = item.dump()
            key = tuple(dumped.get(name) for name in self.keys)
            if key in seen:
                raise PydanticCustomError(
                    "duplicate",
                    "{keys} must be unique: {key} occurs twice",
                    {"keys": " and ".join(self.keys), "key": " ".join(map(str, key))},
                )
            seen.add(key)
        return items


class Model(BaseModel):
    """A part of the kind; immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="ignore",
        defer_build=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    schema_extra: ClassVar[dict[str, str]] = {}
    """Keywords that this object's schema carries, such as a map type."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Drop nulls, as the API server does for fields that are not nullable."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        return obey(self.rules, self)

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        schema.update(cls.schema_extra)
        for name, text in attribute_docs(cls).items():
            schema["properties"][cls.model_fields[name].alias]["description"] = text
        if cls.rules:
            schema[VALIDATIONS] = [rule.as_schema() for rule in cls.rules]
        return schema

    def dump(self) -> dict[str, Any]:
        """Return the object as the API writes it: camelCase, JSON types, what is absent left out.

        Defaults are the API server's to write: a field that was not given is not written either.
        """
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
