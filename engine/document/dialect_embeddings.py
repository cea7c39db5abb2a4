"""`/v1/embeddings`: texts in, vectors out. Must not know rules."""

from __future__ import annotations

from engine.document.dialect_generic import Generic
from engine.document.parts import CONTENT, PART
from engine.document.walks import fields, items, kinds, text, text_or


class Embeddings(Generic):
    """One text, a list of texts, or token ids, which no rule can read. The answer says nothing."""

    def __init__(self) -> None:
        # beside plain texts some servers take parts, or objects holding `content` as a list of parts
        multimodal = kinds({}, fields({"text": text, "content": CONTENT}))
        super().__init__(
            "embeddings",
            "/embeddings",
            reads=fields(
                {
                    "instruction": text,
                    "input": text_or(items(text_or(multimodal))),
                    "messages": items(fields({"content": text_or(items(PART))})),
                }
            ),
        )
