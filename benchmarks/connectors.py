"""Speed of each connector against its real peer, and live migrations under faults: ``--help`` says how."""

from __future__ import annotations

import importlib
import sys

import frame

if __name__ == "__main__":
    from connector_speed.command import main

    main()
else:
    # A process that searches this folder first, such as a child of a test, asks for the package of the same name.
    sys.path.remove(str(frame.ROOT))
    sys.path.insert(0, str(frame.ROOT))
    del sys.modules[__name__]
    importlib.import_module(__name__)
