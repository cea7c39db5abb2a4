"""What a run of the bench found, put together: medians over its rounds, the table, and how ours stand to the others."""

from __future__ import annotations

import statistics

COLUMNS = {
    "requests_s": "req/s, 32 conn.",
    "cpu_us": "CPU us/req",
    "p50_us": "p50 us",
    "p99_us": "p99 us",
    "events_s": "events/s",
    "stream_us": "stream p50 us",
    "rss_mb": "RSS MB",
    "start_s": "start s",
}
COUNTED = ("failed", "asked")  # added over the rounds, where of the others the median is taken
TIMES = {"bare": 0.75, "nginx": 0.25, "litellm": 150.0, "vllm-router": None, "envoy": None}  # goals, where there are
ADDED = {"p50_us": 20.0, "p99_us": 60.0}  # microseconds over bare at one connection

Figures = dict[str, float]


def medians(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    """For every server and figure the median over the rounds that have it; failed answers are added up."""
    found: dict[str, Figures] = {}
    for name in dict.fromkeys(name for each in rounds for name in each):
        seen = [each[name] for each in rounds if name in each]
        found[name] = {
            figure: (sum if figure in COUNTED else statistics.median)(each[figure] for each in seen if figure in each)
            for figure in dict.fromkeys(figure for each in seen for figure in each)
        }
    return found


def ratios(found: dict[str, Figures]) -> dict[str, tuple[float, float | None]]:
    """How ours, with the most rules, stand to bare and to each peer of the goals: the figure and its goal, if any."""
    most = max((name for name in found if name.endswith(" rules")), key=lambda name: int(name.split()[0]), default="")
    told: dict[str, tuple[float, float | None]] = {}
    for ours in (most, "compiled"):
        if ours not in found:
            continue
        for other, goal in TIMES.items():
            if other in found:
                told[f"{ours} / {other}, requests/s"] = found[ours]["requests_s"] / found[other]["requests_s"], goal
        for figure, goal in ADDED.items():
            added = found[ours][figure] - found["bare"][figure]
            told[f"{ours} - bare, {figure[:3]} in us at one connection"] = added, goal
    return told


def table(found: dict[str, Figures], faults: dict[str, str]) -> str:
    """The medians, how all stand to the bare path, what failed, and the ratios with their goals.

    `faults` are peers that gave no figures in some round, and why.
    """
    rows = [f"{'':12}" + "".join(f"{title:>16}" for title in COLUMNS.values()) + f"{'of bare':>10}"]
    for name, figures in found.items():
        cells = "".join(f"{_short(figures.get(figure)):>16}" for figure in COLUMNS)
        of_bare = f"{figures['requests_s'] / found['bare']['requests_s']:>10.3f}"
        failed = figures.get("failed", 0)
        rows.append(
            f"{name:12}{cells}{of_bare}" + (f"  failed: {failed:.0f} of {figures['asked']:.0f}" if failed else "")
        )
    rows += [f"{name:12}{fault}" for name, fault in faults.items()]
    for title, (figure, goal) in ratios(found).items():
        aim = "" if goal is None else f"  goal: {'at most' if ' - ' in title else 'at least'} {goal:g}"
        rows.append(f"{title:48}{_short(figure):>10}{aim}")
    return "\n".join(rows)


def _short(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.2f}"
