"""What a log shows: every message on one line, and a message that comes again and again only counted."""

import logging
import re
from collections import OrderedDict

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# A message shows once in this time, so that whoever causes it cannot fill the disk.
COUNTED_S = 60.0

# How many different messages may take turns in repeating.
REMEMBERED = 100

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LogLines(logging.Filter):
    """Escapes control characters, which others type into names, and counts what repeats within COUNTED_S."""

    def __init__(self) -> None:
        super().__init__()
        # By message: when it was shown, and how often it came since.
        self._shown: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        message = _CONTROL.sub(lambda char: char[0].encode("unicode_escape").decode(), record.getMessage())
        shown, count = self._shown.pop(message, (0.0, 0))
        is_new = record.created - shown > COUNTED_S
        self._shown[message] = (record.created, 0) if is_new else (shown, count + 1)
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        if is_new and count:
            message += f" (repeated {count} times meanwhile)"
        record.msg, record.args = message, ()
        return is_new


def start_log(level: int) -> None:
    """Log to stderr; what a command prints for people goes to stdout."""
    handler = logging.StreamHandler()
    handler.addFilter(LogLines())
    logging.basicConfig(level=level, format=FORMAT, handlers=[handler])
