import logging


class LogLines(logging.Formatter):
    """Lines for people; but a security event is its JSON alone, for the program that collects them."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if record.name == "gas.security" else super().format(record)
