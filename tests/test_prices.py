"""What tokens cost: exact sums, whose price it is, and that nothing is loaded, guessed or held up for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st
from streamed import exchange, program

from engine.document.exchange import Exchange
from engine.ports import price_catalog
from engine.ports.price_catalog import Catalog, Wanted
from engine.ports.prices import Prices
from engine.ports.rates import Rates
from engine.rules.sections import PriceSection
from engine.tools.cases_wire import FrozenClock

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
AT = FrozenClock(NOW)
MILLION = 1_000_000


def section(**prices: float) -> Any:
    made = PriceSection.defaults()
    vars(made).update(prices)
    return made


def asked(table: dict[str, Any], catalog: Catalog | None = None, **told: Any) -> Exchange:
    """An exchange that was answered; `model` asked for, `named` upstream, `answers` as the answer names it."""
    rules = replace(
        program("  - {name: r, phase: log, actions: [{tag: t}]}"), prices=Prices(table, catalog or Catalog())
    )
    x = exchange(rules, model=told.get("model", "m"), stream=False)
    x.upstream = {"name": "main", "model": told.get("named", told.get("model", "m")), "attempt": 1}
    x.answered = {
        "choices": [],
        "model": told.get("answers"),
        "usage": told.get("usage", {"prompt_tokens": MILLION, "completion_tokens": 0}),
        "service_tier": told.get("tier"),
    }
    return x


# --- sums -------------------------------------------------------------------------------------------------------------

PRICES = st.decimals(0, 1000, places=6)
TOKENS = st.integers(0, 10**7)


@given(PRICES, PRICES, PRICES, TOKENS, TOKENS, TOKENS)
def test_a_cost_is_the_number_nearest_to_the_exact_sum(
    input: Decimal, output: Decimal, cached: Decimal, prompt: int, completion: int, read: int
) -> None:
    read = min(read, prompt)
    rates = Rates({"prompt_tokens": input, "completion_tokens": output, "cached_tokens": cached})
    cost = rates.cost({"prompt_tokens": prompt, "completion_tokens": completion, "cached_tokens": read})
    exact = Fraction(input) * (prompt - read) + Fraction(cached) * read + Fraction(output) * completion
    assert cost is not None
    assert cost.total == float(exact / MILLION)
    assert cost.output == float(Fraction(output) * completion / MILLION)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"prompt_tokens": 1000, "completion_tokens": 500}, "0.00045"),
        ({"prompt_tokens": 1000, "completion_tokens": 500, "cached_tokens": 400}, "0.000422"),
        ({"prompt_tokens": 1000, "completion_tokens": 500, "reasoning_tokens": 400}, "0.00045"),
        ({"prompt_tokens": 0, "completion_tokens": 0}, "0"),
    ],
)
def test_the_authors_prices(usage: dict[str, int], cost: str) -> None:
    table = {"m": section(input=0.15, output=0.60, cached_input=0.08)}
    assert asked(table, usage=usage).cost == float(cost)


def test_what_the_author_leaves_out_costs_what_it_is_part_of() -> None:
    usage = {
        "input_tokens": 100,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 300,
        "output_tokens": 10,
    }
    assert asked({"m": section(input=1, output=2)}, usage=usage).cost == 0.00062
    assert asked({"m": section(input=1, output=2, cached_write=3)}, usage=usage).cost == 0.00122
    spoken = {
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "prompt_tokens_details": {"audio_tokens": 10},
        "completion_tokens_details": {"audio_tokens": 5},
    }
    assert asked({"m": section(input=1, output=2)}, usage=spoken).cost == 0.00003
    assert asked({"m": section(input=1, output=2, audio_input=40, audio_output=80)}, usage=spoken).cost == 0.00081


def test_tokens_without_a_price_leave_the_whole_without_one() -> None:
    asks = Rates({"prompt_tokens": Decimal(1)})
    assert asks.cost({"prompt_tokens": 5, "completion_tokens": 0}) == (5e-06, 5e-06, 0.0, 0.0)
    assert asks.cost({"prompt_tokens": 5, "completion_tokens": 1}) is None
    pictures = Rates({"prompt_tokens": Decimal(1), "completion_image_tokens": Decimal(40)})
    assert pictures.cost({"prompt_tokens": 0, "completion_tokens": 2, "completion_image_tokens": 2}) == (
        8e-05,
        0,
        8e-05,
        0,
    )
    assert pictures.cost({"prompt_tokens": 0, "completion_tokens": 3, "completion_image_tokens": 2}) is None


# --- whose price ------------------------------------------------------------------------------------------------------


def test_the_authors_price_goes_by_the_model_asked_for_then_by_the_one_upstream() -> None:
    table = {"fast": section(input=1, output=1), "small": section(input=2, output=1)}
    assert asked(table, model="fast", named="small").cost == 1.0
    assert asked(table, model="other", named="small").cost == 2.0
    assert asked(table, model="gpt-4o", named="small").cost == 2.0


def test_known_models_have_the_catalogues_price() -> None:
    assert asked({}, model="gpt-4o").cost == 2.5
    assert asked({}, model="fast", named="gpt-4o").cost == 2.5
    assert asked({}, model="fast", named="deployment-7", answers="gpt-4o-2024-08-06").cost == 2.5
    assert asked({"gpt-4o": section(input=9, output=9)}, model="gpt-4o").cost == 9.0


def test_a_name_that_is_only_an_alias_has_no_price_of_its_own() -> None:
    assert asked({}, model="gpt-4o", named="llama-at-home", answers="llama-at-home").cost is None


@pytest.mark.parametrize("name", ["nobody-knows-this", "", "gpt-4o" + "x" * 1000])
def test_an_unknown_model_has_no_cost(name: str) -> None:
    assert asked({}, model=name).cost is None


def test_no_usage_has_no_cost() -> None:
    table = {"m": section(input=1, output=1)}
    x = asked(table)
    x.answered = None
    assert x.cost is None
    assert asked(table, usage={}).cost is None


def test_what_a_cache_gives_is_free() -> None:
    x = asked({"m": section(input=1, output=1)})
    x.cache_hit = True
    assert x.cost == 0.0
    assert x.priced == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("address", "kind", "name", "provider"),
    [
        ("https://api.openai.com/v1", "openai", "text-embedding-3-small", "openai"),
        ("http://127.0.0.1:9/v1", "openai", "text-embedding-3-small", "openai"),
        ("https://openrouter.ai/api/v1", "openai", "openai/gpt-4o", "openrouter"),
        ("https://x.openai.azure.com/openai/v1", "azure", "gpt-4o", "azure"),
        ("http://127.0.0.1:9/v1", "azure", "gpt-4o", "openai"),
        ("https://api.anthropic.com/v1", "anthropic", "claude-sonnet-4-5", "anthropic"),
        ("https://api.groq.com/openai/v1", "openai", "gpt-4o", None),
    ],
)
def test_the_provider_is_known_by_its_address_else_by_the_name(
    address: str, kind: str, name: str, provider: str | None
) -> None:
    rates = Catalog().rates(Wanted(name, None, address, kind), AT)
    usage = {"prompt_tokens": 1000, "completion_tokens": 0}
    if provider is None:
        assert rates is None
        return
    assert rates is not None
    theirs = get_snapshot().calc(Usage(input_tokens=1000, output_tokens=0), name, provider, None, NOW)
    cost = rates.cost(usage)
    assert cost is not None
    assert cost.total == float(theirs.total_price)


def test_a_tier_that_the_answer_names_has_its_own_price() -> None:
    usage = {"prompt_tokens": MILLION, "completion_tokens": 0}
    plain = asked({}, model="o3", usage=usage).cost
    flex = asked({}, model="o3", usage=usage, tier="flex").cost
    assert plain is not None
    assert flex == plain / 2
    assert asked({}, model="o3", usage=usage, tier="default").cost == plain
    assert asked({}, model="o3", usage=usage, tier="of tomorrow").cost == plain


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_every_price_of_the_catalogue_is_what_genai_prices_makes_of_it() -> None:
    """Their own sum is the oracle: all models and variants, below and above each length at which a price changes."""
    compared = 0
    for provider in get_snapshot().providers:
        for number, model in enumerate(provider.models):
            for context in [{}, *(variant.when for variant in model.price_variants or () if _told(variant.when))]:
                now = NOW + timedelta(minutes=37 * number)
                found = price_catalog._found(
                    provider, model, Wanted("", tier=context.get("service_tier"), speed=context.get("speed")), now
                )
                if found.rates is None:
                    continue
                for prompt in (1000, *(start + 1 for start in _starts(model, now))):
                    counts = [prompt, 700, prompt // 3, prompt // 5, prompt // 7, 300, 2]
                    theirs = model.calc_price(
                        Usage(**dict(zip(_THEIRS, counts, strict=True))),
                        provider,
                        genai_request_timestamp=now,
                        price_context=context,
                    )
                    cost = found.rates.cost(dict(zip(_OURS, counts, strict=True)))
                    if cost is not None:
                        compared += 1
                        assert cost.total == float(theirs.total_price), (provider.id, model.id)
                        assert cost.input == float(theirs.input_price)
    assert compared > 2000


_THEIRS = [
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_reasoning_tokens",
    "web_searches",
]
_OURS = [
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "web_searches",
]


def _told(when: dict[str, str]) -> bool:
    """Whether an answer says it: that it was a batch, or what it searched, none does."""
    return set(when) <= {"service_tier", "speed"}


def _starts(model: Any, now: datetime) -> set[int]:
    prices = vars(model.get_prices(now)).values()
    return {tier.start for price in prices for tier in getattr(price, "tiers", ())}


def test_prices_that_change_with_the_hour_are_looked_up_again() -> None:
    by_hour = [
        (provider, model)
        for provider in get_snapshot().providers
        for model in provider.models
        if isinstance(model.prices, list) and any(hasattr(one.constraint, "end_time") for one in model.prices)
    ]
    provider, model = by_hour[0]
    wanted = Wanted(model.id)
    catalog = Catalog()
    catalog._providers = [replace(provider, model_match=model.match)]
    usage, days = (
        {"prompt_tokens": MILLION, "completion_tokens": 0},
        [NOW + timedelta(minutes=n) for n in range(0, 1440, 30)],
    )
    costs = []
    for now in days:
        rates = catalog.rates(wanted, FrozenClock(now))
        assert rates is not None
        assert catalog.at_hand(wanted, FrozenClock(now))
        assert not catalog.at_hand(wanted, FrozenClock(now + timedelta(minutes=1)))
        costs.append(rates.cost(usage))
    theirs = [model.calc_price(Usage(input_tokens=MILLION), provider, genai_request_timestamp=now) for now in days]
    assert [cost.total for cost in costs if cost] == [float(one.total_price) for one in theirs]
    assert len({cost.total for cost in costs if cost}) > 1


def test_names_that_clients_make_up_are_not_kept_for_ever() -> None:
    catalog = Catalog()
    catalog._providers = []
    for number in range(5000):
        assert catalog.rates(Wanted(f"made-up-{number}"), AT) is None
    assert len(catalog._found) <= 1000


def test_a_catalogue_that_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    catalog = Catalog()
    assert asked({}, catalog, model="gpt-4o").cost is None
    assert asked({"gpt-4o": section(input=1, output=1)}, catalog, model="gpt-4o").cost == 1.0
    assert Prices({}, catalog).estimate(["gpt-4o"], 1, 1) is None


def test_a_catalogue_that_is_broken_fails_no_exchange(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(price_catalog, "_providers", lambda: [object()])
    assert asked({}, model="gpt-4o").cost is None
    assert "no price is found" in caplog.text


async def test_it_is_loaded_and_searched_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[int] = []

    def load() -> Any:
        where.append(threading.get_ident())
        return get_snapshot().providers

    monkeypatch.setattr(price_catalog, "_providers", load)
    catalog = Catalog()
    x = asked({"mine": section(input=1, output=1)}, catalog, model="mine")
    await x.program.prices.prepare(x)
    assert not where
    x = asked({}, catalog, model="gpt-4o")
    await x.program.prices.prepare(x)
    assert len(where) == 1
    assert where[0] != threading.get_ident()
    assert x.cost == 2.5
    prices = Prices({}, catalog)
    await prices.expect(["fast", "gpt-4o"])
    assert prices.estimate(["fast", "gpt-4o"], MILLION, MILLION) == 12.5
    assert len(where) == 1


def test_an_estimate_goes_by_the_same_prices() -> None:
    prices = Prices({"fast": section(input=1, output=2), "small": section(input=3, output=4)})
    assert prices.estimate(["fast", "small"], 1000, 10) == 0.00102
    assert prices.estimate(["other", "small"], 1000, 0.0) == 0.003
    assert prices.estimate(["gpt-4o", "nobody-knows-this"], 1, 1) is None
    assert prices.estimate([], 1, 1) is None


LOADS_NOTHING = """
import sys
from engine.tools.cases import run_files
report = run_files([sys.argv[1]])
assert report.fine, report
print("genai_prices" in sys.modules, "pydantic" in sys.modules)
"""
TESTED = """
prices: {m: {input: 1, output: 1}}
sinks: {audit: {file: audit.jsonl}}
rules:
  - {name: audit, phase: log, actions: [{log_to: audit}]}
tests:
  - name: priced by the author
    request: {body: {model: MODEL, messages: []}}
    upstream: {body: {choices: [], usage: {prompt_tokens: 1000, completion_tokens: 0, total_tokens: 1000}}}
    expect: {records: [{status: 200, cost: COST}]}
"""


@pytest.mark.parametrize(
    ("model", "cost", "loaded"), [("m", "0.001", "False False"), ("gpt-4o", "0.0025", "True True")]
)
def test_it_is_never_loaded_unless_something_needs_a_cost(model: str, cost: str, loaded: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(TESTED.replace("MODEL", model).replace("COST", cost))
    command = [sys.executable, "-c", LOADS_NOTHING, str(file)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == (loaded, 0), done.stderr
