"""The section `tests` of a rules file: what a test may say. Must not know how a test is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.catalogue import Entry, Scope, schema_of
from engine.document.dialect import Piece
from engine.options import BAD, Duration, OneOrMany, option
from engine.source import Node, Span
from engine.tools.cases_types import AnyJson, NamedTexts, NullableText, Parameters, PlacedCondition, Time, each

HTTP_METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")


class StreamPiece(Entry, kind="section", name="tests.upstream.stream"):
    """A piece of a streamed answer, put into the dialect's wire form."""

    text: str | None = option("Text that the assistant says.", None, short=True)
    choice: int = option("Index of the choice it belongs to.", 0, minimum=0)
    tool: int | None = option("Index of the tool call that `name` and `arguments` belong to.", None, minimum=0)
    name_: str | None = option("Name of the called tool.", None, name="name")
    arguments: str | None = option("A piece of the tool call's arguments.", None)
    reasoning: str | None = option("A piece of the reasoning.", None)
    usage: Any = option("The usage of the stream.", None)
    raw: str | None = option("Bytes as text, sent exactly so.", None)

    def as_piece(self) -> Piece:
        """The piece as dialects take it."""
        return Piece(
            text=self.text,
            choice=self.choice,
            tool=self.tool,
            name=self.name_,
            arguments=self.arguments,
            reasoning=self.reasoning,
            usage=self.usage,
            raw=self.raw,
        )


class CannedAnswer(Entry, kind="section", name="tests.upstream"):
    """What the upstream answers: a body, a stream, or a failure."""

    status: int = option("HTTP status.", 200, minimum=100, maximum=599)
    headers: NamedTexts = option("Headers of the answer.", [])
    body: AnyJson = option("The body; a text is sent as it is, everything else as JSON.", None)
    stream: list[StreamPiece] | None = option("Pieces of a streamed answer.", None)
    error: Literal["timeout", "connection"] | None = option("No answer comes at all.", None)

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        given = [name for name in ("body", "stream", "error") if name in places]
        if len(given) > 1:
            scope.problem(
                "one-answer",
                f"an upstream answers with `{given[0]}` or with `{given[1]}`, not both",
                places[given[1]].span,
                help="several answers, one per call: write a list under `upstream:`",
            )
        self.has_body = "body" in places


class CannedAnswers:
    """One answer, or a list of them: one per call, the last repeats."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        answer = schema_of(CannedAnswer)
        return {"anyOf": [answer, {"type": "array", "items": answer, "minItems": 1}]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        answers = [CannedAnswer.read(item, scope) for item in each(node)]
        if not answers:
            scope.problem("no-answer", "an empty list of answers", node.span, help="leave `upstream` away instead")
            return BAD
        return BAD if any(answer is BAD for answer in answers) else answers


if TYPE_CHECKING:
    Answers = list[CannedAnswer]
else:
    Answers = CannedAnswers


class ClientForm(Entry, kind="section", name="tests.request.client"):
    """Who is calling."""

    ip: str = option("Address of the other end.", "127.0.0.1")


class FileForm(Entry, kind="section", name="tests.request.files"):
    """A file of a multipart request."""

    content: str = option("What is in the file.", short=True)
    filename: str = option("Its name.", "file.bin")
    content_type: str = option("Its type.", "application/octet-stream")


class RequestForm(Entry, kind="section", name="tests.request"):
    """What the client sends."""

    path: str = option("Path asked for.", "/v1/chat/completions")
    method: str = option("HTTP method.", "POST", enum=list(HTTP_METHODS))
    query: Parameters = option("Query parameters.", [])
    headers: NamedTexts = option("Headers.", [])
    body: AnyJson = option("The JSON body; with `files`, the other fields of the form.", None)
    raw: str | None = option("The body as text, sent exactly so.", None)
    files: dict[str, FileForm] = option("Files of a multipart request, by field.", {})
    key: str | None = option("Name of the entry of `keys` that is calling.", None)
    client: ClientForm | None = option("Who is calling.", None)

    places: dict[str, Node]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.places = places
        if "raw" in places and ("body" in places or "files" in places):
            scope.problem(
                "one-body",
                "`raw` is the whole body; `body` and `files` do not go with it",
                places["raw"].span,
                help="keep one of them",
            )


class Written(Entry):
    """An expectation: `written` holds what the author wrote, by name, and `places` where; the rest is not asked."""

    written: dict[str, Any]
    places: dict[str, Node]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.written = {name: getattr(self, name) for name in places}
        self.places = places


class CallForm(Written, kind="section", name="tests.expect.calls"):
    """One call that went upstream."""

    upstream: str | None = option("Name of the upstream that was called.", None)
    model: NullableText = option("Model asked for there.", None)
    path: str | None = option("Path of the call's address.", None)
    body: AnyJson = option("What was sent.", None)
    headers: AnyJson = option("Headers that were sent.", None)


class ResponseForm(Written, kind="section", name="tests.expect.response"):
    """What the client got."""

    status: int | None = option("HTTP status.", None)
    headers: AnyJson = option("Headers, by lower-case name.", None)
    body: AnyJson = option("The body; of a stream, the body that the same answer would have had whole.", None)
    text: NullableText = option("The assistant's text in whatever dialect, streamed or not.", None)
    error: AnyJson = option("The error object, in-band ones too.", None)


class ExpectForm(Written, kind="section", name="tests.expect"):
    """What must hold. A mapping is a subset at every depth, a list has the same length, null is absent or null."""

    matched: OneOrMany[str] = option("Names of the rules that matched: exactly these, in order.", [])
    sent: AnyJson = option("What went upstream with the last call; null = nothing was sent.", None)
    sent_headers: AnyJson = option("Headers of the last call, by lower-case name.", None)
    upstream: NullableText = option("Name of the upstream that was called last; null = none was.", None)
    calls: list[CallForm] = option("All calls that went upstream, in order.", [])
    response: ResponseForm | None = option("What the client got.", None)
    records: list[AnyJson] = option("The records that were written.", [])
    holds: OneOrMany[PlacedCondition] = option("Conditions that hold over the document plus `sent`.", [])


class StepForm(Entry, kind="section", name="tests.steps"):
    """One exchange of several that share state within the test."""

    request: RequestForm = option("What the client sends.")
    upstream: Answers | None = option("What the upstream answers; default: the test's own `upstream`.", None)
    expect: ExpectForm | None = option("What must hold.", None)
    after: Duration = option("Time that passes before this step.", 0.0)
    now: Time | None = option("The time of this step.", None)


class TestForm(Entry, kind="section", name="tests"):
    """A test of the rules: a request, what the upstream answers, and what must hold."""

    __test__ = False  # not a test of this project

    name_: str = option("What the test shows.", name="name", minLength=1)
    request: RequestForm | None = option("What the client sends.", None)
    upstream: Answers | None = option("What the upstream answers; default a short text.", None)
    expect: ExpectForm | None = option("What must hold.", None)
    steps: list[StepForm] = option("Several exchanges, instead of `request` and `expect`.", [])
    http: dict[str, Answers] = option("What other addresses answer, by URL.", {})
    now: Time | None = option("The time, which stands still.", None)

    span: Span

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.span = node.span
        opening = node.span.at(node.span.start, min(node.span.start + 1, node.span.end))
        if self.steps and self.request is not None:
            scope.problem(
                "request-or-steps",
                "a test has `request` or `steps`, not both",
                places["steps"].span,
                help="make the request the first of the steps",
            )
        elif not self.exchanges():
            scope.problem(
                "missing-key",
                "a test needs `request`, or `steps` with several",
                opening,
                help="write `request: {body: {model: m, messages: [{role: user, content: hi}]}}`",
            )
        elif not any(step.expect for step in self.exchanges()):
            scope.problem(
                "no-expectation",
                f"test `{self.name_}` expects nothing, so it cannot fail",
                opening,
                help="say under `expect:` what must hold",
            )

    def exchanges(self) -> list[StepForm]:
        """The steps; a test without steps is one step."""
        if self.steps or self.request is None:
            return self.steps
        only = StepForm.__new__(StepForm)
        only.request, only.upstream, only.expect = self.request, self.upstream, self.expect
        only.after, only.now = Duration(0.0), None
        return [only]
