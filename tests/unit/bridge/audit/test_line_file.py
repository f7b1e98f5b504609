"""Lines are appended whole and once, also while the file is moved, cut or rewritten, or the disk is full."""

from __future__ import annotations

import os
import threading
from io import FileIO
from pathlib import Path

import pytest

from cerebro.bridge.audit import line_file
from cerebro.bridge.audit.line_file import LineFile, rewrite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "lines.jsonl"


def test_a_file_that_was_moved_is_opened_anew(path: Path) -> None:
    file = LineFile(path)
    file.append(b"1\n")
    path.rename(path.with_name("old"))
    file.append(b"2\n")
    path.unlink()
    file.append(b"3\n")
    assert path.with_name("old").read_bytes() == b"1\n"
    assert path.read_bytes() == b"3\n"


def test_half_a_line_of_a_killed_process_stands_alone(path: Path) -> None:
    LineFile(path).append(b"1\n")
    with path.open("ab") as file:
        file.write(b'{"half')
    LineFile(path).append(b"2\n")
    assert path.read_bytes() == b'1\n{"half\n2\n'


def test_a_large_file_is_moved_on(path: Path) -> None:
    file = LineFile(path, max_bytes=4, former=2)
    for number in range(7):
        file.append(b"%d\n" % number)
    names = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    assert names == {
        "lines.jsonl": b"6\n",
        "lines.jsonl.1": b"4\n5\n",
        "lines.jsonl.2": b"2\n3\n",
    }


def test_the_tail_is_of_whole_lines(path: Path) -> None:
    file = LineFile(path, durable=True)
    assert file.tail(100) == [b""]
    file.append(b"first\nsecond\n")
    assert file.tail(100) == [b"first", b"second", b""]
    assert file.tail(10) == [b"second", b""]


def test_a_full_disk_leaves_no_part_of_a_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LineFile(path)
    file.append(b"1\n")

    def fill_up(target: FileIO, lines: bytes) -> None:
        target.write(lines[:3])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(line_file, "_write_all", fill_up)
        with pytest.raises(OSError, match="space"):
            file.append(b"2345\n")
    file.append(b"6\n")
    assert path.read_bytes() == b"1\n6\n"


def test_rewriting_loses_no_line_that_is_appended_meanwhile(
    path: Path,
) -> None:
    count = 2_000
    file = LineFile(path)
    file.append(b"bad\n")

    def append() -> None:
        for number in range(count):
            file.append(b"%d\n" % number)

    writer = threading.Thread(target=append)
    writer.start()
    while writer.is_alive():
        rewrite(path, lambda line: line != b"bad\n")
        with path.open("ab") as other:
            os.write(other.fileno(), b"")
    writer.join()
    rewrite(path, lambda line: line != b"bad\n")
    expected = b"".join(b"%d\n" % number for number in range(count))
    assert path.read_bytes() == expected


def test_rewriting_keeps_the_rights_and_leaves_no_draft(path: Path) -> None:
    LineFile(path).append(b"1\n2\n")
    path.chmod(0o600)
    assert rewrite(path, lambda line: line == b"1\n") == 1
    assert rewrite(path, lambda _: True) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"1\n"
    assert [each.name for each in path.parent.iterdir()] == ["lines.jsonl"]
