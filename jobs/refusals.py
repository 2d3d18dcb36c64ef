"""What is refused, and how the refusal is told: what was found, what was expected, how to mend it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Refused(Exception):
    """A request that cannot be granted. `status` is the HTTP status; `upgrade` says that Premium would allow it."""

    code: str
    title: str
    detail: str
    mend: str = ""
    upgrade: bool = False
    status: int = 422

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.title}.", self.detail, self.mend) if part)

    def as_json(self) -> dict[str, Any]:
        fields = asdict(self)
        del fields["status"]
        return {"error": fields}
