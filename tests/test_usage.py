"""Usage in common words, whoever tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.document.usage import COUNTED, PARTS, usage_of

CASES = yaml.safe_load((Path(__file__).parent / "dialects" / "usages.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_what_is_counted(case):
    assert usage_of(case["told"]) == case["counted"]


NUMBERS = st.one_of(st.integers(0, 100), st.none(), st.text(max_size=2), st.booleans())
DETAILS = st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens"]), NUMBERS)
NAMES = ["prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens"]
CACHES = ["cache_read_input_tokens", "cache_creation_input_tokens", "cached_tokens", "prompt_cache_hit_tokens"]
TOLD = st.dictionaries(st.sampled_from([*NAMES, *CACHES]), NUMBERS)


@given(TOLD, DETAILS, DETAILS)
def test_whatever_is_told_is_counted_within_bounds(told, asked, said):
    counted = usage_of({**told, "prompt_tokens_details": asked, "output_tokens_details": said})
    if counted is None:
        return
    assert set(counted) <= set(COUNTED)
    assert all(type(number) is int and number >= 0 for number in counted.values())
    assert all(
        counted[part] <= counted.get(whole, counted["prompt_tokens"])
        for part, whole in PARTS.items()
        if part in counted
    )
