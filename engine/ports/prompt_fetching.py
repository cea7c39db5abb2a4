"""Sources that prompts are fetched from over HTTP: what each kind says of itself, and how its answers are read.

Must not know any single service, nor how long a prompt is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from engine.catalogue import Entry, Scope
from engine.errors import UpstreamError
from engine.options import Duration, option
from engine.ports.asking import NoVerdict, answered
from engine.ports.prompt_text import (
    NOT_PARAMETERS,
    Fill,
    PromptTemplate,
    Turn,
    constant,
    content_fill,
    message_turn,
    placeholder_turn,
    spoken_turn,
)
from engine.ports.wire import Call, Patience, Transport
from engine.source import Node

HTTP_URL = "^https?://[^ {}?#]+$"
_GONE = frozenset({404, 410})
_REFUSED = frozenset({401, 403})
_STRANGE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, halves of surrogate pairs
_LONGEST_NAME = 500  # characters of an id, label or version
_ACCEPTED = (("accept", "application/json"), ("accept-encoding", "identity"))
_BOUNDED_OUTSIDE = Patience(connect=None, first_byte=None, between_bytes=None)


class SourceFailed(Exception):
    """No usable answer came from a source of prompts; the text says why, without credentials, for the log."""


class PromptName(NamedTuple):
    """Which prompt: what a service is asked by."""

    id: str
    label: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a service has of a name: the prompt, or None when there is none; `size` in bytes as it came."""

    template: PromptTemplate | None
    size: int = 0


class FetchedPrompts(Entry, kind="prompt_source"):
    """A service that is asked for prompts by name.

    `address` tells two definitions apart and is never shown; `label` is what the log calls the service.
    """

    ttl: Duration = option(
        "How long a prompt is used before it is fetched again, behind the requests; 0 asks for every request.", 60.0
    )
    timeout: Duration = option("How long one fetch may take; a rule waits for at most its own `timeout`.", 3.0)

    address: str
    label: str

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if not self.timeout:
            scope.problem("wrong-type", "a fetch takes some time", places["timeout"].span, help="write it like `3s`")

    @abstractmethod
    def named(self, id: str, label: str | None, version: str | None) -> PromptName | None:
        """What the service is asked by, defaults filled in; None when no prompt of it can be called so."""

    @abstractmethod
    def url(self, name: PromptName) -> str:
        """The address of a prompt."""

    @abstractmethod
    def credentials(self) -> list[tuple[str, str]]:
        """The headers of every call."""

    @abstractmethod
    def template(self, answer: dict[str, Any]) -> PromptTemplate:
        """The prompt in an answer; SourceFailed when there is none in it."""

    def settle(self, url: str) -> None:
        """Name this source, once its options are complete."""
        said = [type(self).name, *(f"{name}={vars(self)[name]!r}" for name in sorted(self.options))]
        self.address = hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()
        self.label = f"{type(self).name} {urlsplit(url).netloc.rpartition('@')[2]}"

    async def fetch(self, name: PromptName, transport: Transport) -> Fetched:
        """Ask the service once; SourceFailed for anything but a prompt, or its word that there is none."""
        call = Call("GET", self.url(name), [*self.credentials(), *_ACCEPTED], b"", _BOUNDED_OUTSIDE)
        try:
            async with asyncio.timeout(self.timeout):
                status, raw = await answered(transport, call, _tells)
        except TimeoutError:
            raise SourceFailed(f"it took longer than {self.timeout:g} s") from None
        except (UpstreamError, NoVerdict) as failed:
            raise SourceFailed(str(failed)) from None
        if not _tells(status):
            hint = "; are the credentials right?" if status in _REFUSED else ""
            raise SourceFailed(f"it answered with status {status}{hint}")
        try:
            answer = _object(raw, status)
            return Fetched(None) if status in _GONE else Fetched(self.template(answer), len(raw))
        except RecursionError:
            raise SourceFailed("it answered with JSON that is nested too deeply") from None


def _tells(status: int) -> bool:
    """Whether an answer says what there is, or that there is nothing."""
    return 200 <= status < 300 or status in _GONE


def _object(raw: bytes, status: int) -> dict[str, Any]:
    """The JSON object of an answer, also of one that says there is no such prompt: a proxy's page says nothing."""
    try:
        answer = json.loads(raw)
        json.dumps(answer, ensure_ascii=False).encode()  # half a surrogate pair could not be sent on
    except ValueError:
        raise SourceFailed(f"it answered with status {status} and something that is not JSON") from None
    if not isinstance(answer, dict):
        raise SourceFailed(f"it answered with status {status} and JSON that is not an object")
    return answer


# --- names ------------------------------------------------------------------------------------------------------------


def escaped(id: str) -> str:
    """An id as one segment of a path: whatever is in it, it names nothing else there."""
    return quote(id, safe="")


def is_plain_name(name: str | None) -> bool:
    """Whether a service can be asked for a name: it is neither blank nor endless, and no path is hidden in it.

    Segments of dots are resolved by whoever is on the way, even escaped.
    """
    if name is None:
        return True
    if not name.strip() or len(name) > _LONGEST_NAME or _STRANGE.search(name):
        return False
    return "." not in name or not any(segment in (".", "..") for segment in re.split(r"[/\\]", name))


# --- answers ----------------------------------------------------------------------------------------------------------


def turns_of(prompt: Any) -> list[Turn]:
    """A text as one user message, a list of messages as they are; SourceFailed for anything else."""
    if isinstance(prompt, str):
        return [spoken_turn("user", content_fill(prompt, "user", lenient=True))]
    if not isinstance(prompt, list) or not prompt:
        raise SourceFailed("its prompt is neither a text nor a list of messages")
    return [_turn(message) for message in prompt]


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        raise SourceFailed("its prompt has something else than messages in its list")
    if message.get("type") == "placeholder":
        name = message.get("name")
        if not isinstance(name, str) or not name:
            raise SourceFailed("its prompt has a placeholder without a name")
        return placeholder_turn(name)
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise SourceFailed("its prompt has a message without a role")
    members = {
        name: value for name, value in message.items() if value is not None and (name, value) != ("type", "chatmessage")
    }
    content = message.get("content")
    if not isinstance(content, (str, list, type(None))):
        raise SourceFailed("its prompt has a message whose content is neither a text nor a list of parts")
    fills = {name: constant(value) for name, value in members.items()}
    return message_turn({**fills, "content": _content(content, role)})


def _content(value: Any, role: str = "") -> Fill:
    if isinstance(value, str):
        return content_fill(value, role, lenient=True)
    if isinstance(value, dict):
        members = {name: _content(member) for name, member in value.items()}
        return lambda variables: {name: fill(variables) for name, fill in members.items()}
    if isinstance(value, list):
        items = [_content(item) for item in value]
        return lambda variables: [fill(variables) for fill in items]
    return constant(value)


def parameters_of(config: Any) -> dict[str, Any]:
    """The model and the parameters of a config; what is null is not given. SourceFailed where it is none."""
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise SourceFailed("its config is not an object")
    given = {name: value for name, value in config.items() if value is not None and name not in NOT_PARAMETERS}
    model = given.get("model", "-")
    if not isinstance(model, str) or not model:
        raise SourceFailed("the model in its config is not a text")
    return given


def version_of(answer: dict[str, Any]) -> str | None:
    """Which version of a prompt an answer says it is."""
    version = answer.get("version")
    return str(version)[:_LONGEST_NAME] if type(version) in (int, str) else None
