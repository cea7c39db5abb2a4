"""The sections of a rules file, each with its options, as catalogue entries.

The schema, `pointsman schema server` and the loader read these classes. Must not know how sections are compiled.
"""

from __future__ import annotations

import datetime
import os
import re
from typing import Any, ClassVar, Literal

from engine.actions.options import HeaderName, HeaderValue
from engine.actions.use_prompt import UsePrompt
from engine.catalogue import Entry, Scope, schema_of
from engine.options import Advice, Duration, Leaf, Seconds, Size, option, option_type
from engine.phases import REQUEST
from engine.ports.authentication import Authentication, AuthenticationRef
from engine.ports.extras import check_installed
from engine.ports.spool import LIMIT
from engine.rules.rule_options import Day
from engine.rules.section_options import Address, InAttempt, Lasting, Network, NoneOr, Zone, host_and_port
from engine.source import Node, Span


class Section(Entry, kind="section"):
    """A part of a rules file. `repeats` is True where a mapping of names to this section is written."""

    repeats: ClassVar[bool] = False


class Server(Section, name="server"):
    """How the gateway listens and what it bounds."""

    host: str = option("Address to listen on.", "127.0.0.1")
    port: int = option("Port to listen on; 0 takes a free one.", 4000, minimum=0, maximum=65535)
    workers: int = option("Processes that share the port.", 1, minimum=1, maximum=256)
    admin: str = option(
        "Address of metrics, health and reload detail; `off` for none.", "127.0.0.1:4001", reads=Address("off")
    )
    admin_key: str | None = option(
        "Key asked for on the admin address when it is not loopback, best as `os.environ/NAME`.",
        None,
        minLength=1,
        advice=Advice("write `os.environ/NAME`, the name of a variable that holds the key"),
    )
    open: bool = option("Serve beyond loopback although no `keys` are defined.", False)
    body_limit: Size = option("Largest request body.", 32 * 1024 * 1024)
    bodies_limit: Size = option(
        "Most bytes of all request bodies over 64 KiB that one process serves at once; at least `body_limit`.",
        256 * 1024 * 1024,
    )
    answer_limit: Size = option("Largest answer of an upstream that is no stream.", 128 * 1024 * 1024)
    max_held: Size = option("Largest answer that is collected so that a rule can see it whole.", 8 * 1024 * 1024)
    connections: Leaf({"type": "integer", "minimum": 1}) = option(  # type: ignore[valid-type]
        "Most connections of clients to one process; default half of the files that it may have open.", None
    )
    keep_alive: Lasting() = option(  # type: ignore[valid-type]
        "How long a client's connection may be open without a whole request.", 75.0
    )
    client_timeout: Lasting() = option(  # type: ignore[valid-type]
        "How long a client may send nothing of the rest of its body, or take nothing of its answer.", 60.0
    )
    drain: Duration = option("How long running exchanges may finish at shutdown.", 30.0)
    timezone: Zone() = option("Zone of the `time` root; default UTC.", None)  # type: ignore[valid-type]
    passthrough: list[str] = option("Paths passed through without body rules, as globs.", [])
    trusted_proxies: list[Network] = option("Networks whose `x-forwarded-for` is believed.", [])
    expose_rules: bool = option("Send `x-pointsman-rules` also when not listening on loopback.", False)
    spool: str = option("Folder for what could not be delivered yet.", ".pointsman/")
    spool_limit: Size = option("Most that waits there for one sink; what comes then is lost, and said.", LIMIT)
    responses_state: Literal["refuse", "allow"] = option(
        "What to do with `previous_response_id` and its kin.", "refuse"
    )
    auth: Authentication | None = option(
        "Dotted path of a function `(headers, path)` that says who is calling, where no entry of `keys` does.",
        None,
        reads=AuthenticationRef,
    )

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.spool = os.path.join(scope.folder, self.spool)
        if lacks_admin_key(self):
            scope.problem(
                "no-admin-key",
                f"`{self.admin}` can be reached by others than this machine, and asks for no key",
                places["admin"].span,
                help="set `admin_key: os.environ/NAME`, or `admin: off`",
            )


_KINDS = Advice(
    meant={
        "claude": "it is called `anthropic`",
        "azure_openai": "it is called `azure`",
        **dict.fromkeys(
            ("vllm", "ollama", "litellm", "openai_compatible", "custom"), "what speaks like OpenAI is `openai`"
        ),
    }
)


class UpstreamSection(Section, name="upstreams", noun="an upstream", repeats=True):
    """Somebody who answers: an API's address and how to speak to it."""

    base_url: str | None = option(
        "Address up to and including `/v1`; `{model}` in it is the model's name.",
        None,
        pattern="^https?://[^ ]+$",
        advice=Advice("write it like `https://api.openai.com/v1`"),
    )
    api_key: str | None = option("Credential, best as `os.environ/NAME`.", None)
    kind: Literal["openai", "anthropic", "azure", "demo"] = option("What it speaks.", "openai", advice=_KINDS)
    auth: Literal["bearer", "x-api-key", "api-key"] | None = option("Header of the credential; default by kind.", None)
    headers: dict[str, str] = option(
        "Headers added to every call; values may be templates.",
        {},
        reads=InAttempt(option_type(dict[HeaderName, HeaderValue])),
    )
    query: dict[str, str] = option("Query parameters added to every call.", {})
    connect: Duration = option("Time to connect.", 5.0)
    first_byte: Duration = option("Time until the answer begins.", 120.0)
    between_bytes: Duration = option("Longest pause within an answer.", 120.0)
    total: NoneOr(Seconds()) = option("Time for the whole call; default none.", None)  # type: ignore[valid-type]
    stream_usage: bool = option(
        "Ask for the usage of streams (`stream_options.include_usage`) when a record, a rule or a limit needs it.", True
    )
    translate: bool = option(
        "It has only its own API, of chat completions or messages; requests in the other are translated.", False
    )
    concurrent: NoneOr(Leaf({"type": "integer", "minimum": 1})) = option(  # type: ignore[valid-type]
        "Most calls at once; others wait in line, no longer than `first_byte`; default none.", None
    )

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if self.base_url is None and self.kind != "demo":
            opening = node.span.at(node.span.start, node.span.start + 1)
            scope.problem(
                "missing-key",
                "an upstream needs `base_url`",
                opening,
                help="write `base_url: https://api.openai.com/v1`, or `kind: demo` for the embedded one",
            )
        if self.translate and self.kind == "demo":
            scope.problem(
                "no-effect",
                "`translate` does nothing at the embedded upstream, which has every API",
                places["translate"].span,
                help="remove it",
            )
        elif self.translate:
            check_installed(scope, places["translate"].span, "`translate`", "llm-rosetta", "translate", "error")


class AttachedPrompt:
    """What the action `use_prompt` takes, for a model's name; read as that action."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return schema_of(UsePrompt)

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        before = scope.phases, scope.call_types
        scope.phases, scope.call_types = frozenset({REQUEST}), UsePrompt.call_types
        try:
            return UsePrompt.read(node, scope)
        finally:
            scope.phases, scope.call_types = before


class ModelSection(Section, name="models", noun="a model", repeats=True):
    """What clients may ask for under this name (`*` and globs allowed)."""

    upstream: str | None = option("Name of the upstream that answers; default the first.", None)
    model: str | None = option("Model named upstream; may name another entry; `*` is what the glob matched.", None)
    prompt: AttachedPrompt | None = option(
        "A prompt for every request of this name, after all request rules: the options of `use_prompt`.", None
    )


class KeySection(Section, name="keys", noun="a key"):
    """Somebody who may call. The key itself stands nowhere, only its SHA-256."""

    meant = dict.fromkeys(
        ("key", "api_key", "token", "value"), "write `sha256: …`, as `printf %s KEY | sha256sum` prints it"
    )

    name: str = option("Name in records and rules.", minLength=1)
    sha256: str = option(
        "SHA-256 of the key, 64 hex digits.",
        pattern="^[0-9a-f]{64}$",
        advice=Advice("64 digits of 0-9 and a-f, as `printf %s KEY | sha256sum` prints them"),
    )
    team: str | None = option("Team of the caller.", None)
    user: str | None = option("User behind the key.", None)
    models: list[str] | None = option("Models this key may use, globs allowed; default all.", None)
    metadata: dict[str, Any] = option("Anything rules want to know: `key.metadata.tier`.", {})
    expires: datetime.date | None = option("Last day it is good, in `server.timezone`.", None, reads=Day)

    span: Span

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.span = places.get("expires", node).span


_DEAREST = 1_000_000_000  # a thousand dollars for one token is a slip
_PRICE: dict[str, Any] = {
    "minimum": 0,
    "maximum": _DEAREST,
    "advice": Advice("US dollars per million tokens, such as `0.15`"),
}


class PriceSection(Section, name="prices", noun="a price", repeats=True):
    """US dollars per million tokens of a model. What is left out costs what it is part of: input or output."""

    meant = {
        "prompt": "it is called `input`",
        "completion": "it is called `output`",
        "cached": "it is called `cached_input`",
        "cache_read": "it is called `cached_input`",
        "cache_write": "it is called `cached_write`",
        **dict.fromkeys(
            ("input_cost_per_token", "output_cost_per_token"), "write `input` and `output`, per million tokens"
        ),
    }

    input: float = option("Per million input tokens.", **_PRICE)
    output: float = option("Per million output tokens, reasoning included.", **_PRICE)
    cached_input: float | None = option("Per million input tokens read from the provider's cache.", None, **_PRICE)
    cached_write: float | None = option("Per million input tokens written to the provider's cache.", None, **_PRICE)
    audio_input: float | None = option("Per million input tokens of sound.", None, **_PRICE)
    audio_output: float | None = option("Per million output tokens of sound.", None, **_PRICE)


NAME = re.compile(r"[a-z0-9-]+\Z")


def lacks_admin_key(server: Any) -> bool:
    """Whether others than this machine could ask the admin address, and nothing keeps them from it."""
    return server.admin != "off" and not server.admin_key and not is_loopback(host_and_port(server.admin)[0])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")
