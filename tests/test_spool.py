"""The spool: what is kept comes back in order, whole, and to exactly one."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.ports import spool as spools
from engine.ports.spool import Spool, left_behind

ROOT = Path(__file__).parent.parent


def line(number: int) -> bytes:
    return json.dumps({"n": number}).encode()


def lines(*numbers: int) -> list[bytes]:
    return [line(number) for number in numbers]


def emptied(spool: Spool) -> list[int]:
    """All that is in a spool, in its order, as its owner delivers it."""
    found = []
    while (chunk := spool.first()) is not None:
        whole, _ = chunk.lines()
        found += [json.loads(one)["n"] for one in whole]
        spool.done(chunk)
    return found


def on_disk(folder: Path) -> list[int]:
    return [json.loads(one)["n"] for file in sorted(folder.glob("*.jsonl")) for one in file.read_bytes().splitlines()]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "_CHUNK_RECORDS", 3)
    monkeypatch.setattr(spools, "_CHUNK_BYTES", 100)


@pytest.mark.usefixtures("small_chunks")
def test_what_is_kept_comes_back_in_order_and_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    for start, count in ((0, 2), (2, 7), (9, 1), (10, 1)):
        assert spool.add(lines(*range(start, start + count))) == count
    big = b'{"n": 11, "text": "' + b"x" * 500 + b'"}'
    assert spool.add([big, line(12)]) == 2
    assert spool.records == 13
    assert len(list((tmp_path / "a").glob("*.jsonl"))) > 4
    first = spool.first()
    assert first is not None
    spool.add(lines(13))
    assert emptied(spool) == list(range(14))
    assert spool.records == 0
    spool.close()
    assert list((tmp_path / "a").iterdir()) == []


def test_a_mark_puts_records_before_what_came_later(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add(lines(1))
    mark = spool.mark()
    spool.add(lines(4))
    assert spool.add(lines(2, 3), mark) == 2
    assert on_disk(tmp_path) == [1, 2, 3, 4]
    assert emptied(spool) == [1, 2, 3, 4]
    spool.close()


def test_a_clock_that_jumps_back_does_not_change_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.add(lines(1))
    spool.first()
    monkeypatch.setattr(spools.time, "time_ns", lambda: 5)
    spool.add(lines(2))
    assert emptied(spool) == [1, 2]
    spool.close()


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add(lines(1, 2))
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(b'"n": 0}\n' + file.read_bytes() + b'{"n": 3')
    chunk = spool.first()
    assert chunk is not None
    assert chunk.lines() == (lines(1, 2), 2)
    spool.close()


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a" / "b")
    spool.add(lines(1))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")}
    assert modes.pop("b") == 0o700
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    spool.close()


def test_what_a_living_owner_keeps_is_claimed_by_nobody(tmp_path: Path) -> None:
    owner, other, third = Spool(tmp_path), Spool(tmp_path), Spool(tmp_path)
    owner.add(lines(1, 2))
    assert other.claim() == 0
    assert other.first() is None
    owner.close()
    assert (other.claim(), third.claim(), other.claim()) == (2, 0, 0)
    other.add(lines(3))
    assert emptied(other) == [1, 2, 3]
    assert owner.first() is not None
    owner.done(owner.first())  # type: ignore[arg-type]  too late: it is another's
    other.close()
    third.close()
    assert list(tmp_path.iterdir()) == []


def test_a_claimed_chunk_may_be_left_again_without_what_was_delivered(tmp_path: Path) -> None:
    one, two = Spool(tmp_path / "audit"), Spool(tmp_path / "audit")
    one.add(lines(1, 2, 3))
    one.close()
    two.claim()
    chunk = two.first()
    assert chunk is not None
    two.leave(chunk, lines(3))
    assert two.records == 1
    two.close()
    assert on_disk(tmp_path / "audit") == [3]
    assert left_behind(tmp_path, {"audit"}) == []
    assert left_behind(tmp_path, set()) == [tmp_path / "audit"]
    assert left_behind(tmp_path / "nowhere", set()) == []


def test_what_a_killed_owner_left_besides_records_is_cleared_away(tmp_path: Path) -> None:
    one = Spool(tmp_path)
    one.add(lines(1))
    (chunk,) = tmp_path.glob("*.jsonl")
    chunk.with_suffix(".part").write_bytes(line(1))
    (tmp_path / "1-none.lock").write_bytes(b"")
    one.close()
    two = Spool(tmp_path)
    two.claim()
    assert emptied(two) == [1]
    two.close()
    assert list(tmp_path.iterdir()) == []


def test_it_is_bounded_over_all_its_owners(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, limit=50), Spool(tmp_path, limit=50)
    one.add(lines(*range(10)))
    with pytest.raises(OSError, match="50 are allowed"):
        two.add(lines(1))
    assert one.add(lines(10)) == 1  # the chunk at hand is filled
    assert emptied(one) == list(range(11))
    assert two.add(lines(1)) == 1
    one.close()
    two.close()


def test_a_folder_that_was_removed_is_made_again_and_locked_again(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    spool, other = Spool(folder), Spool(folder)
    spool.add(lines(1))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    chunk = spool.first()
    assert chunk is not None
    with pytest.raises(FileNotFoundError):
        chunk.lines()
    spool.set_aside(chunk)
    spool.add(lines(2))
    assert other.claim() == 0
    assert emptied(spool) == [2]
    spool.close()
    other.close()


def test_where_a_file_stands_in_the_way_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    spool = Spool(tmp_path / "a")
    with pytest.raises(OSError):
        spool.add(lines(1))
    assert (spool.records, spool.claim(), spool.first()) == (0, 0, None)
    spool.close()


FULL = """
import resource, sys
from pathlib import Path
from engine.ports.spool import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
spool = Spool(Path(sys.argv[1]))
kept = [spool.add([b'{"n": %d, "text": "%s"}' % (n, b"x" * 280)]) for n in range(2)]
try:
    spool.add([b'{"n": 2, "text": "%s"}' % (b"x" * 600)])
except OSError as error:
    kept.append(type(error).__name__)
kept.append(spool.add([b'{"n": 3}']))
print(kept, spool.records)
"""


def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[1, 1, 'OSError', 1] 3"
    assert on_disk(tmp_path) == [0, 1, 3]


KEEPER = """
import os, signal, sys
from pathlib import Path
from engine.ports import spool as spools
spools._CHUNK_RECORDS = 5
spool = spools.Spool(Path(sys.argv[1]))
spool.add([b'{"n": %d}' % n for n in range(1000)])
os.kill(os.getpid(), signal.SIGKILL)
"""
CLAIMER = """
import json, sys
from pathlib import Path
from engine.ports.spool import Spool
spool = Spool(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
spool.claim()
while (chunk := spool.first()) is not None:
    for line in chunk.lines()[0]:
        print(json.loads(line)["n"])
    spool.done(chunk)
spool.close()
"""


def test_what_a_killed_process_left_goes_to_exactly_one_of_many(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KEEPER, str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert len(list(tmp_path.glob("*.jsonl"))) == 200
    claiming = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for one in claiming:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in claiming:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=20)[0].split() for one in claiming]
    assert sorted(map(len, said)) == [0, 0, 0, 1000]
    assert max(said, key=len) == [str(number) for number in range(1000)]
    assert list(tmp_path.iterdir()) == []
