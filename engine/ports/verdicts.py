"""What guards are asked and what their answers mean: moderation endpoints, and models of the Llama Guard family.

Must not know rules or transports. Where the formats come from:
https://platform.openai.com/docs/api-reference/moderations and
https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.ports.asking import NoVerdict

HAZARDS = {
    "S1": "Violent Crimes",
    "S2": "Non-Violent Crimes",
    "S3": "Sex Crimes",
    "S4": "Child Exploitation",
    "S5": "Defamation",
    "S6": "Specialized Advice",
    "S7": "Privacy",
    "S8": "Intellectual Property",
    "S9": "Indiscriminate Weapons",
    "S10": "Hate",
    "S11": "Self-Harm",
    "S12": "Sexual Content",
    "S13": "Elections",
    "S14": "Code Interpreter Abuse",
}
"""The hazards that Llama Guard 3 was trained to name."""

_TASK = """Task: Check if there is unsafe content in 'User' messages in conversations according our safety policy with \
the below categories.

<BEGIN UNSAFE CONTENT CATEGORIES>
{hazards}
<END UNSAFE CONTENT CATEGORIES>

<BEGIN CONVERSATION>

User: {text}

<END CONVERSATION>

Provide your safety assessment for ONLY THE LAST User message in the above conversation:
 - First line must read 'safe' or 'unsafe'.
 - If unsafe, a second line must include a comma-separated list of violated categories."""
_LISTED = "\n".join(f"{code}: {name}." for code, name in HAZARDS.items())
_MARKUP = re.compile(r"<(?=\||(?:BEGIN|END) (?:CONVERSATION|UNSAFE))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guard found: whether anything, which categories by the guard's own names, and its answer as it came."""

    flagged: bool
    categories: list[str]
    raw: Any

    def as_json(self) -> dict[str, Any]:
        """As rules see it."""
        return {"flagged": self.flagged, "categories": self.categories, "raw": self.raw}


def moderation_request(text: str, model: str | None) -> dict[str, Any]:
    """The body for an endpoint that speaks like OpenAI's `/moderations`."""
    return {"input": text} if model is None else {"model": model, "input": text}


def moderation_verdict(answer: dict[str, Any]) -> Verdict:
    """Its verdict, over all results; NoVerdict when there is none in it."""
    results = answer.get("results")
    if not isinstance(results, list) or not results or not all(_is_result(result) for result in results):
        raise NoVerdict("the moderation endpoint answered without `results` that say `flagged`")
    held = [name for result in results for name, holds in (result.get("categories") or {}).items() if holds is True]
    return Verdict(any(result["flagged"] for result in results), list(dict.fromkeys(held)), answer)


def _is_result(result: Any) -> bool:
    return (
        isinstance(result, dict)
        and isinstance(result.get("flagged"), bool)
        and isinstance(result.get("categories", {}), (dict, type(None)))
    )


def guard_request(text: str, model: str | None, *, plain: bool) -> dict[str, Any]:
    """The chat body for a guard model; `plain`: its server puts the text into the guard's prompt itself."""
    asked = text if plain else _TASK.format(hazards=_LISTED, text=_MARKUP.sub("< ", text))
    body = {"messages": [{"role": "user", "content": asked}], "temperature": 0, "max_tokens": 100}
    return body if model is None else {"model": model, **body}


def guard_verdict(answer: dict[str, Any]) -> Verdict:
    """`safe`, or `unsafe` and a line of categories; NoVerdict for anything else, such as a chat model's small talk."""
    said = _said(answer)
    first, _, rest = said.strip().partition("\n")
    word = first.strip().lower()
    if word == "safe":
        return Verdict(False, [], said)
    if word != "unsafe":
        raise NoVerdict("the guard model answered neither `safe` nor `unsafe`")
    named = rest.strip().partition("\n")[0]
    return Verdict(True, [code for part in named.split(",") if (code := part.strip())], said)


def _said(answer: dict[str, Any]) -> str:
    """The assistant's text of a chat answer."""
    try:
        said = answer["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        said = None
    if not isinstance(said, str):
        raise NoVerdict("the guard model answered without a text")
    return said
