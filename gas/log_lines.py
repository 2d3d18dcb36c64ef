import logging
import re

# what opens something for whoever has it: links that set a password, confirm an address, download a file
KEY_IN_PATH = re.compile(r"(/accounts/(?:password/reset/key|confirm-email)/|/objects/)[^/\s\"']+")


class LogLines(logging.Formatter):
    """Lines for people, without the keys of mailed links; but a security event is its JSON alone, for the program that
    collects them.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = record.getMessage() if record.name == "gas.security" else super().format(record)
        return KEY_IN_PATH.sub(r"\1...", line)
