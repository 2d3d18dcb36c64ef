"""What all requests share: the clock, the faults to come, the calls so far."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DELAYS = {"Expedited": 0.2, "Standard": 0.4, "Bulk": 0.6}


@dataclass
class Fault:
    operation: str
    code: str
    times: int
    tier: str


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self._ahead = 0.0  # seconds, of the machine's clock
        self.reset()

    def now(self) -> float:
        return time.time() + self._ahead

    def reset(self) -> None:
        self.delays = dict(DELAYS)
        self._faults: list[Fault] = []
        self._calls: Counter[str] = Counter()

    def called(self, operation: str, tier: str = "") -> str:
        """Count a call; returns the code of the fault that is due, or ""."""
        with self.lock:
            self._calls[operation] += 1
            for fault in self._faults:
                if fault.times and fault.operation == operation and fault.tier in {"", tier}:
                    fault.times -= 1
                    return fault.code
            return ""

    def control(self, what: str, **arguments: Any) -> object:
        with self.lock:
            if what == "fail":
                self._faults.append(Fault(**arguments))
            elif what == "delay":
                self.delays.update(arguments["seconds"])
            elif what == "advance":
                self._ahead += arguments["seconds"]
            elif what == "calls":
                return self._calls[arguments["operation"]]
            elif what == "reset":
                self.reset()
            else:
                raise ValueError(what)
            return None
