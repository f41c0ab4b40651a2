"""Who holds the lock of a database, as far as this machine tells."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LOCKS = Path("/proc/locks")


def lock_holder(database: Path) -> str:
    """Process and program that hold a write lock on a database or its shared memory; empty where nobody can be named.

    SQLite itself does not tell. Linux lists the locks of all processes by inode.
    """
    with suppress(OSError, ValueError, IndexError):
        files = [database, database.with_name(f"{database.name}-shm")]
        inodes = {str(file.stat().st_ino) for file in files if file.exists()}
        for line in LOCKS.read_text(encoding="ascii").splitlines():
            words = line.split()
            if "->" not in words and "WRITE" in words and words[5].rsplit(":", 1)[-1] in inodes:
                return f"process {words[4]} ({_program(words[4])})"
    return ""


def _program(process: str) -> str:
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return " ".join(Path(word.decode(errors="replace")).name for word in words[:4] if word) or "unknown"
