"""Limits of files from outside, checked before and while they are read."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from twin.errors import BadInputError, OutsideWorldError

MAX_FILE_BYTES = 50_000_000_000
MAX_UNPACKED_BYTES = 50_000_000_000
MAX_RATIO = 200
"""Most bytes per compressed byte; telemetry as CSV reaches 10 to 60."""
RATIO_FREE_BYTES = 32_000_000
"""So much may be unpacked before the ratio counts."""
MAX_COLUMNS = 20_000
MAX_LINE_BYTES = 4_000_000
MAX_ROWS = 2_000_000_000
MAX_ROW_GROUP_BYTES = 4_000_000_000
BLOCK_BYTES = 8_000_000
"""What is held in memory of a CSV file at a time."""
LISTED_ROWS = 10
"""Bad rows that a finding lists."""


class GuardedStream(io.RawIOBase):
    """A file that may be compressed, read forward, with limits on what comes out of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = path.open("rb")
        self._packed = self._raw.peek(2)[:2] == b"\x1f\x8b"
        self._stream: io.BufferedIOBase = gzip.GzipFile(fileobj=self._raw) if self._packed else self._raw
        self.taken = 0
        """Bytes unpacked so far."""

    def readable(self) -> bool:
        """Yes."""
        return True

    def position(self) -> int:
        """Bytes of the file itself read so far, for progress."""
        return self._raw.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fills the buffer.

        Raises:
            BadInputError: the file unpacks to more than it may, or is damaged.
        """
        try:
            data = self._stream.read(len(buffer))
        except (gzip.BadGzipFile, EOFError) as error:
            message = f"{self._path}: damaged or truncated gzip file ({error}); copy it again from its source"
            raise BadInputError(message) from None
        except OSError as error:
            raise OutsideWorldError(f"{self._path}: cannot be read ({error})") from None
        buffer[: len(data)] = data
        self.taken += len(data)
        self._check()
        return len(data)

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
        self._raw.close()
        super().close()

    def _check(self) -> None:
        if self.taken > MAX_UNPACKED_BYTES:
            message = f"{self._path}: more than {MAX_UNPACKED_BYTES} bytes of text; split the file"
            raise BadInputError(message)
        if self._packed and self.taken > RATIO_FREE_BYTES and self.taken > MAX_RATIO * max(1, self.position()):
            message = (
                f"{self._path}: unpacks to more than {MAX_RATIO} times its size, which telemetry never does; "
                "unpack and inspect it before you import it"
            )
            raise BadInputError(message)


def require_file(path: Path) -> Path:
    """The path of a readable file of acceptable size.

    Raises:
        BadInputError: it does not exist, is no file, is empty or too large.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file; check 'files' of the source in site.yaml, or --file")
    size = path.stat().st_size
    if size == 0:
        raise BadInputError(f"{path}: the file is empty (0 bytes); export it again")
    if size > MAX_FILE_BYTES:
        raise BadInputError(f"{path}: {size} bytes are above the limit of {MAX_FILE_BYTES}; split the file by month")
    return path


def head_of(path: Path) -> bytes:
    """The first line of a text file, without its end.

    Raises:
        BadInputError: it is no UTF-8 text, or the line is longer than a header can be.
    """
    with GuardedStream(path) as stream:
        head = io.BufferedReader(stream).read(MAX_LINE_BYTES)
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise BadInputError(f"{path}:1: UTF-16 text; save the file as UTF-8")
    line = head.split(b"\n", 1)[0].rstrip(b"\r")
    if b"\0" in line:
        raise BadInputError(f"{path}:1: NUL character in the header; this is no CSV file, or it is damaged")
    if len(line) == MAX_LINE_BYTES:
        message = f"{path}:1: the header is longer than {MAX_LINE_BYTES} bytes; it has at most {MAX_COLUMNS} columns"
        raise BadInputError(message)
    return line
