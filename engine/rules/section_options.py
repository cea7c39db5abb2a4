"""Option types of the sections: time zones, networks, lists kept in files. Must not know which section uses them."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from typing import Any

from engine.catalogue import Scope
from engine.options import BAD, OptionType, Seconds, found, from_environment
from engine.phases import ATTEMPT
from engine.source import Mapping, Node, Scalar, Sequence


class Zone:
    """A time zone name, such as `UTC` or `Europe/Berlin`."""

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def read(self, node: Node, scope: Scope) -> Any:
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(str(node.plain()))
        except (ValueError, OSError, KeyError):
            scope.problem(
                "unknown-timezone",
                f"unknown time zone {found(node)}",
                node.span,
                help="write an IANA name such as `UTC` or `Europe/Berlin`",
            )
            return BAD


class NoneOr:
    """What another type reads, or `none`: without a bound."""

    def __init__(self, inner: OptionType) -> None:
        self.inner = inner

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": ["none"]}, self.inner.schema()]}

    def read(self, node: Node, scope: Scope) -> Any:
        return None if node.plain() == "none" else self.inner.read(node, scope)


class Lasting(Seconds):
    """A duration that is not nothing."""

    def read(self, node: Node, scope: Scope) -> Any:
        value = super().read(node, scope)
        if value != 0:
            return value
        scope.problem("wrong-type", f"expected some time, found {found(node)}", node.span, help="write it like `60s`")
        return BAD


class Address:
    """A host and a port, such as `127.0.0.1:4001` or `[::1]:4001`, or one of the words; read as the text."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["127.0.0.1:4001", *self.words]}

    def read(self, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if value is BAD or value in self.words:
            return value
        try:
            host_and_port(value)
        except (TypeError, ValueError):
            known = "".join(f" or `{word}`" for word in self.words)
            scope.problem(
                "wrong-type",
                f"expected an address, found {found(node)}",
                node.span,
                help=f"write host and port, like `127.0.0.1:4001` or `[::1]:4001`{known}",
            )
            return BAD
        return value


_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+)):([0-9]{1,5})")


def host_and_port(text: str) -> tuple[str, int]:
    """The parts of an address; ValueError for a text that is none."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{text} is no address")
    return match[1] or match[2], int(match[3])


class Network:
    """A network in CIDR form, or one address."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        try:
            return str(ip_network(value, strict=False)) if isinstance(value, str) else _no_network(node, scope)
        except ValueError:
            return _no_network(node, scope)


def _no_network(node: Node, scope: Scope) -> Any:
    scope.problem("bad-cidr", f"{found(node)} is no network", node.span, help="write it like `10.0.0.0/8`")
    return BAD


class Values:
    """A list written out, or kept in a file of its own, one entry a line: `{file: blocked.txt}`."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        in_file = {
            "type": "object",
            "properties": {"file": {"type": "string", "description": "One entry a line."}},
            "required": ["file"],
            "additionalProperties": False,
        }
        return {"anyOf": [{"type": "array"}, in_file]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Sequence):
            return [from_environment(item, scope) for item in node]
        file = node.get("file") if isinstance(node, Mapping) and len(node.entries) == 1 else None
        if file is None:
            one = isinstance(node, Scalar) and node.value is not None
            scope.problem(
                "wrong-type",
                f"a list is `[a, b]` or `{{file: PATH}}`, found {found(node)}",
                node.span,
                help=f"write `[{node.plain()}]`" if one else "write its values in brackets: `[a, b]`",
            )
            return BAD
        name = from_environment(file, scope)
        if name is BAD:
            return BAD
        path = os.path.normpath(os.path.join(scope.folder, str(name)))
        scope.read_files.append(path)
        try:
            return _lines(path)
        except (OSError, ValueError) as wrong:  # ValueError: no UTF-8, or a null character in the name
            why = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
            scope.problem(
                "missing-file",
                f"cannot read list file `{path}`: {why}",
                file.span,
                help="check the path; it starts at the folder of this rules file",
            )
            return BAD


def _lines(path: str) -> list[str]:
    """The entries of a list file; OSError or ValueError when it cannot be read."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise ValueError("it is a pipe or a device")
    try:
        with open(path, encoding="utf-8-sig") as lines:
            return [line.strip() for line in lines if line.strip()]
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


class InAttempt:
    """An option whose templates see what an attempt sees: the request as it goes upstream, the key, the upstream."""

    def __init__(self, inner: OptionType) -> None:
        self._inner = inner

    def schema(self) -> dict[str, Any]:
        return self._inner.schema()

    def read(self, node: Node, scope: Scope) -> Any:
        before, scope.phases = scope.phases, frozenset({ATTEMPT})
        try:
            return self._inner.read(node, scope)
        finally:
            scope.phases = before
