"""The file as a source: it is emptied, and loses nothing (defect 55 of the old relay)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cerebro.bridge.backend.client import FeedError
from cerebro.bridge.backend.file_source import FileSource

A, B = {"eventId": "a"}, {"eventId": "b"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events_queue.json"


async def taken(source: FileSource) -> list[Any]:
    events = await source.fetch()
    await source.confirm()
    return events


def write(file: Path, *events: Any) -> None:
    put(file, json.dumps(events))


def put(file: Path, content: str) -> None:
    file.write_text(content)


def content_of(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


async def test_events_are_there_until_they_were_taken(file: Path) -> None:
    write(file, A)
    first = FileSource(file)
    assert await first.fetch() == [A]
    assert content_of(file) == "[]"
    assert await FileSource(file).fetch() == [A], "a process died meanwhile"

    write(file, B)
    assert await taken(first) == [A]
    assert await taken(first) == [B]
    assert await taken(first) == []


@pytest.mark.parametrize("content", ["", " \n", "[]", None])
async def test_a_file_without_events_is_left_alone(
    file: Path, content: str | None
) -> None:
    if content is not None:
        put(file, content)
    assert await taken(FileSource(file)) == []
    assert content_of(file) == content


@pytest.mark.parametrize(
    "content", ['[{"eventId": "a"', "{}", "null", "[1] x", "\x00"]
)
async def test_what_is_no_array_stays_for_who_writes_it(
    file: Path, content: str
) -> None:
    put(file, content)
    source = FileSource(file)
    with pytest.raises(FeedError):
        await source.fetch()
    assert content_of(file) == content
    write(file, A)
    assert await taken(source) == [A]


async def test_what_was_set_aside_and_is_broken_is_kept(file: Path) -> None:
    put(file.with_name("events_queue.json.taken"), '[{"eventId"')
    source = FileSource(file)
    with pytest.raises(FeedError):
        await source.fetch()
    kept = file.with_name("events_queue.json.unreadable")
    assert content_of(kept) == '[{"eventId"'
    write(file, A)
    assert await taken(source) == [A]


async def test_a_file_that_cannot_be_read_is_a_trouble(
    tmp_path: Path,
) -> None:
    with pytest.raises(FeedError, match=tmp_path.name):
        await FileSource(tmp_path).fetch()
