"""Where a request goes, as its rules declared it. Must not know upstreams or how calls are made."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Route:
    """What one or several rules said; None and nothing mean that none said so.

    `split` are models with the share (0 to 1) at which the next one begins; `place` is where this request falls, None:
    anywhere. `timeout` is in seconds, for each call; `backoff` the first pause before a retry.
    """

    rule: str
    upstream: str | None = None
    fallbacks: tuple[str, ...] | None = None
    retries: int | None = None
    backoff: float | None = None
    timeout: float | None = None
    split: tuple[tuple[str, float], ...] | None = None
    place: float | None = None

    def over(self, before: Route | None) -> Route:
        """This one where it says something, else what was said before."""
        if before is None:
            return self
        said = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        if "split" in said:
            said["place"] = self.place
        return replace(before, **said)
