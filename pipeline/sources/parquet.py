"""Parquet files: a column `image` of encoded bytes and a column `label` of integers."""

from __future__ import annotations

import json
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.errors import BadInput
from .split import Split, labelled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELD_BYTES = 2**30
"""Encoded images up to here are held in memory; beyond, in an unnamed temporary file."""


@dataclass(frozen=True)
class Parquet:
    """DIR/train*.parquet and DIR/test*.parquet, each in the order of their names.

    `image` is bytes, or a struct with a field `bytes` as Hugging Face writes it. Class names come
    from the schema's metadata: `classes` (names by comma) or Hugging Face's ClassLabel.
    """

    folder: Path
    held_bytes: int = HELD_BYTES

    @property
    def has_test(self) -> bool:
        """Whether there is a file test*.parquet."""
        return bool(self._paths("test"))

    def train(self) -> Split:
        """The training files as one split; only labels are read until an image is asked for."""
        return self._split("train", None)

    def test(self, known: tuple[str, ...]) -> Split:
        """The test files as one split."""
        return self._split("test", known)

    def files(self) -> dict[str, Path]:
        """All training and test files, by name."""
        paths = self._paths("train") + self._paths("test")
        if not paths:
            self._refuse("train")
        return {path.name: path for path in paths}

    def _paths(self, split: str) -> list[Path]:
        return sorted(self.folder.glob(f"{split}*.parquet"))

    def _refuse(self, split: str) -> None:
        found = sorted(path.name for path in self.folder.glob("*"))[:5]
        is_there = f"holds {', '.join(found) or 'nothing'}" if self.folder.is_dir() else "is absent"
        raise BadInput(f"no {split}*.parquet in {self.folder}, which {is_there}")

    def _split(self, split: str, known: tuple[str, ...] | None) -> Split:
        paths = self._paths(split)
        if not paths:
            self._refuse(split)
        files = [_File.opened(path) for path in paths]
        starts = [0]
        for file in files:
            starts.append(starts[-1] + file.rows)

        def where(row: int) -> str:
            index = max(bisect_right(starts, row) - 1, 0)
            return f"{files[index].path}, row {row - starts[index]}"

        labels, names = labelled(
            [one for file in files for one in file.labels()] if starts[-1] else [],
            where=where,
            what=", ".join(str(path) for path in paths[:3]) + (", ..." if len(paths) > 3 else ""),
            names=files[0].class_names,
            known=known,
        )
        images = _Images(files, self.held_bytes)

        def read(row: int) -> NDArray[np.uint8]:
            from .decode import pixels_of

            encoded = images[row]
            if encoded is None:
                raise BadInput(f"{where(row)}: image is missing")
            return pixels_of(encoded, where(row))

        return Split(labels=labels, class_names=names, read=read, where=where)


@dataclass(frozen=True)
class _File:
    """One parquet file whose schema has been checked."""

    path: Path
    rows: int
    groups: int
    class_names: tuple[str, ...] | None

    @classmethod
    def opened(cls, path: Path) -> _File:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                schema, meta = file.schema_arrow, file.metadata
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{path}: not a readable parquet file ({_line(error)})") from error
        for column in ("image", "label"):
            if column not in schema.names:
                near = get_close_matches(column, schema.names, n=1, cutoff=0.4)
                raise BadInput(
                    f"{path}: no column {column!r}; found {', '.join(schema.names)}"
                    + (f"; rename {near[0]!r} to {column!r}" if near else "")
                )
        kind = schema.field("image").type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise BadInput(
                f"{path}, row 0: column 'image' holds {kind}; expected the bytes of an encoded"
                " image, or a struct with a field 'bytes'"
            )
        return cls(path, meta.num_rows, meta.num_row_groups, _class_names(schema.metadata or {}))

    def labels(self) -> Sequence[Any]:
        """The column `label`; a missing one is None."""
        return [one for column in self.columns("label") for one in column.to_pylist()]

    def columns(self, name: str) -> Iterator[Any]:
        """The column's arrays, row group by row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        first = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for group in range(self.groups):
                    column = file.read_row_group(group, columns=[name])[name]
                    first += len(column)
                    yield from column.chunks
        except (pa.ArrowException, OSError) as error:
            raise BadInput(
                f"{self.path}, row {first}: column {name!r} is damaged from here on"
                f" ({_line(error)})"
            ) from error


class _Images:
    """The encoded images by row, read at the first one asked for."""

    def __init__(self, files: Sequence[_File], held_bytes: int) -> None:
        self._files, self._held_bytes = files, held_bytes
        self._arrays: list[Any] = []
        self._starts: list[int] = []
        self._lock = threading.Lock()

    def __getitem__(self, row: int) -> Any:
        """The encoded bytes as a buffer; None where the row has none."""
        with self._lock:
            if not self._arrays:
                self._load()
        index = bisect_right(self._starts, row) - 1
        return self._arrays[index][row - self._starts[index]].as_buffer()

    def _load(self) -> None:
        held = sum(file.path.stat().st_size for file in self._files) <= self._held_bytes
        self._arrays = list(self._chunks()) if held else _mapped(self._chunks())
        first = 0
        for array in self._arrays:
            self._starts.append(first)
            first += len(array)

    def _chunks(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for file in self._files:
            for chunk in file.columns("image"):
                if pa.types.is_struct(chunk.type):
                    chunk = pc.struct_field(chunk, "bytes")
                if len(chunk):
                    yield chunk.cast(pa.large_binary())


def _mapped(arrays: Iterator[Any]) -> list[Any]:
    """The same arrays, mapped from a temporary file that vanishes with the process.

    Any row can then be read in any order without holding the set: the kernel drops pages freely.
    """
    import pyarrow as pa

    schema = pa.schema([("image", pa.large_binary())])
    with tempfile.NamedTemporaryFile(prefix="edgestill-", suffix=".arrow") as file:
        with pa.ipc.new_file(file, schema) as sink:
            for array in arrays:
                sink.write_batch(pa.record_batch([array], schema=schema))
        file.flush()
        reader = pa.ipc.open_file(pa.memory_map(file.name))
        return [reader.get_batch(one).column(0) for one in range(reader.num_record_batches)]


def _class_names(metadata: dict[bytes, bytes]) -> tuple[str, ...] | None:
    """The names the schema's metadata declares, None without any.

    >>> _class_names({b"classes": b"cat,dog"})
    ('cat', 'dog')
    """
    if b"classes" in metadata:
        return tuple(metadata[b"classes"].decode().split(","))
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"]["label"]
        return tuple(str(name) for name in feature["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
