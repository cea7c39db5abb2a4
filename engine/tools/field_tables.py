"""Makes the tables of body fields from the types of the official client packages, which describe the APIs whole.

Run it after those packages were upgraded: `python -m engine.tools.field_tables`. What the packages leave out stands
in `engine.document.fields_added`, which is written by hand. Must not know rules.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import NoneType, UnionType
from typing import IO, Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

TABLES = Path(__file__).parent.parent / "document" / "field_tables.json"
PACKAGES = ("anthropic", "openai")
_NOTE = "Made by `python -m engine.tools.field_tables` from the types of these packages. Do not edit."

REQUESTS: dict[str, tuple[str, ...]] = {
    "completion": ("openai.types.chat.completion_create_params.CompletionCreateParams",),
    "text_completion": ("openai.types.completion_create_params.CompletionCreateParams",),
    "embeddings": ("openai.types.embedding_create_params.EmbeddingCreateParams",),
    "responses": ("openai.types.responses.response_create_params.ResponseCreateParams",),
    "messages": (
        "anthropic.types.message_create_params.MessageCreateParams",
        "anthropic.types.beta.message_create_params.MessageCreateParams",
    ),
    "image_generation": (
        "openai.types.image_generate_params.ImageGenerateParams",
        "openai.types.image_edit_params.ImageEditParams",
        "openai.types.image_create_variation_params.ImageCreateVariationParams",
    ),
    "moderation": ("openai.types.moderation_create_params.ModerationCreateParams",),
    "audio_transcription": (
        "openai.types.audio.transcription_create_params.TranscriptionCreateParams",
        "openai.types.audio.translation_create_params.TranslationCreateParams",
    ),
    "audio_speech": ("openai.types.audio.speech_create_params.SpeechCreateParams",),
}
ANSWERS: dict[str, tuple[str, ...]] = {
    "completion": ("openai.types.chat.chat_completion.ChatCompletion",),
    "text_completion": ("openai.types.completion.Completion",),
    "embeddings": ("openai.types.create_embedding_response.CreateEmbeddingResponse",),
    "responses": ("openai.types.responses.response.Response",),
    "messages": ("anthropic.types.message.Message", "anthropic.types.beta.beta_message.BetaMessage"),
    "image_generation": ("openai.types.images_response.ImagesResponse",),
    "moderation": ("openai.types.moderation_create_response.ModerationCreateResponse",),
    "audio_transcription": (
        "openai.types.audio.transcription_create_response.TranscriptionCreateResponse",
        "openai.types.audio.translation_create_response.TranslationCreateResponse",
    ),
}
CHUNKS: dict[str, tuple[str, ...]] = {
    "completion": ("openai.types.chat.chat_completion_chunk.ChatCompletionChunk",),
    "text_completion": ("openai.types.completion.Completion",),
}

SETTLED = frozenset({"role", "type", "object", "finish_reason", "stop_reason"})
"""Fields whose values name a part of the protocol. The values of others, such as efforts and tiers, come and go."""

_SCALARS = {str: "string", bytes: "string", datetime: "string", int: "number", float: "number", bool: "boolean"}
_LISTS = (list, tuple, set, Iterable, Sequence)
_OPEN = (dict, Mapping)


class UnknownType(Exception):
    """A type of a package that the tables have no words for."""


class Tables:
    """The objects met so far, each under its class, and the classes still to be looked into."""

    def __init__(self) -> None:
        self.objects: dict[type, dict[str, Any]] = {}

    def words(self, hint: Any, field: str = "") -> Any:
        """What the tables say of a type. `field` is the name under which it stands."""
        origin = get_origin(hint)
        if origin in (Annotated, Required, NotRequired):
            return self.words(get_args(hint)[0], field)
        if origin in (Union, UnionType):
            return self._either([one for one in get_args(hint) if one is not NoneType], field)
        if origin is Literal:
            return _constants(get_args(hint), field)
        if _is_file(hint):
            return "file"
        kind = origin or hint
        if kind in (Any, object) or kind in _OPEN:
            return "any" if kind in (Any, object) else "object"
        if kind in _LISTS or getattr(kind, "__name__", "") == "SequenceNotStr":
            return [self.words((get_args(hint) or (Any,))[0], field)]
        if kind in _SCALARS:
            return _SCALARS[kind]
        return self._object(kind)

    def _either(self, hints: list[Any], field: str) -> Any:
        choices: list[Any] = []
        for hint in hints:
            found = self.words(hint, field)
            for choice in found["any_of"] if isinstance(found, dict) and "any_of" in found else [found]:
                if choice not in choices:
                    choices.append(choice)
        if "any" in choices:
            return "any"
        if "string" in choices:
            choices = [choice for choice in choices if not (isinstance(choice, dict) and "values" in choice)]
        choices = _one_enumeration(choices)
        return choices[0] if len(choices) == 1 else {"any_of": choices}

    def _object(self, kind: Any) -> dict[str, Any]:
        if not isinstance(kind, type) or not (_is_typed_dict(kind) or hasattr(kind, "model_fields")):
            raise UnknownType(f"no words for {kind!r}")
        if kind not in self.objects:
            members = self.objects[kind] = {}  # entered first: types contain themselves
            members.update((name, self.words(hint, name)) for name, hint in _members(kind))
        return {"class": kind}


def _one_enumeration(choices: list[Any]) -> list[Any]:
    """The choices with all enumerations of texts made one."""
    values: set[str] = set()
    others = []
    for choice in choices:
        if isinstance(choice, dict) and "values" in choice:
            values.update(choice["values"])
        else:
            others.append(choice)
    return [*others, {"values": sorted(values)}] if values else others


def _constants(values: tuple[Any, ...], field: str) -> Any:
    if field in SETTLED and all(isinstance(value, str) for value in values):
        return {"values": sorted(values)}
    kinds = list(dict.fromkeys(_SCALARS[type(value)] for value in values if value is not None))
    return kinds[0] if len(kinds) == 1 else {"any_of": kinds}


def _is_typed_dict(kind: Any) -> bool:
    """True for either library's TypedDict: the packages take theirs from where it is newest."""
    return isinstance(kind, type) and hasattr(kind, "__required_keys__")


def _is_file(hint: Any) -> bool:
    """True for what a package sends as a file: open files, bytes, paths, and tuples around them."""
    if get_origin(hint) is tuple:
        return any(_is_file(one) for part in get_args(hint) for one in (part, *get_args(part)))
    return get_origin(hint) is IO or getattr(get_origin(hint) or hint, "__name__", "") == "PathLike"


def _members(kind: Any) -> Iterator[tuple[str, Any]]:
    """The names on the wire and the types of an object's members; headers are none, a further name is `*`."""
    if _is_typed_dict(kind):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            alias = _alias(hint)
            if "-" not in alias:  # a header
                yield alias or name, hint
        return
    for name, field in kind.model_fields.items():
        yield field.alias or name, field.annotation
    if any("__pydantic_extra__" in vars(base).get("__annotations__", {}) for base in _own_bases(kind)):
        yield "*", Any


def _own_bases(kind: Any) -> list[Any]:
    """The class and those above it that describe the API, not the packages' own machinery."""
    return [base for base in kind.__mro__ if ".types." in base.__module__]


def _alias(hint: Any) -> str:
    while get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    if get_origin(hint) is not Annotated:
        return ""
    return next((alias for note in hint.__metadata__ if (alias := getattr(note, "alias", None))), "")


# --- writing ----------------------------------------------------------------------------------------------------------


def names(classes: Iterable[type]) -> dict[type, str]:
    """A name for each class: its own, with as much of its module's path before it as tells it from the others."""
    found: dict[type, str] = {}
    left, depth = list(classes), 0
    while left:
        proposed = {kind: ".".join([*kind.__module__.split(".")[::-1][:depth][::-1], kind.__name__]) for kind in left}
        taken = list(proposed.values())
        found.update((kind, name) for kind, name in proposed.items() if taken.count(name) == 1)
        left, depth = [kind for kind in left if kind not in found], depth + 1
    return found


def _named(words: Any, name_of: Mapping[type, str]) -> Any:
    """The words with classes by name."""
    if isinstance(words, list):
        return [_named(words[0], name_of)]
    if isinstance(words, dict) and "class" in words:
        return name_of[words["class"]]
    if isinstance(words, dict) and "any_of" in words:
        return {"any_of": [_named(choice, name_of) for choice in words["any_of"]]}
    return words


def tables() -> dict[str, Any]:
    """The tables of the installed packages, as `engine.document.fields` reads them."""
    met = Tables()
    sides = {
        side: {call_type: met.words(Union[tuple(map(_type, paths))]) for call_type, paths in roots.items()}  # noqa: UP007
        for side, roots in (("request", REQUESTS), ("response", ANSWERS), ("chunk", CHUNKS))
    }
    name_of = names(met.objects)
    named: Callable[[Any], Any] = lambda words: _named(words, name_of)  # noqa: E731
    objects = {
        name_of[kind]: {name: named(words) for name, words in sorted(members.items())}
        for kind, members in met.objects.items()
    }
    return {
        "note": _NOTE,
        "made_from": installed(),
        **{side: {call_type: named(words) for call_type, words in roots.items()} for side, roots in sides.items()},
        "objects": dict(sorted(objects.items())),
    }


def installed() -> dict[str, str]:
    """The packages that the tables are made from, with the versions that are installed."""
    return {package: version(package) for package in PACKAGES}


def _type(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def as_text(found: Mapping[str, Any]) -> str:
    """The tables as JSON, an object a line, so that an upgrade can be read as a difference."""
    parts = []
    for name, value in found.items():
        if name == "objects":
            lines = ",\n".join(f"  {json.dumps(key)}: {_compact(members)}" for key, members in value.items())
            parts.append(f' "objects": {{\n{lines}\n }}')
        else:
            parts.append(f" {json.dumps(name)}: {_compact(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> int:
    """Write the tables again."""
    TABLES.write_text(as_text(tables()), encoding="utf-8")
    print(f"wrote {TABLES.name} from {', '.join(f'{name} {number}' for name, number in installed().items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
