"""Tabs where YAML allows them and ruamel.yaml does not: behind values and keys, before comments, on blank lines.

YAML 1.2 forbids tabs in indentation only (section 6.1); `s-white`, which separates tokens and ends lines, is a space
or a tab (section 6.2).
"""

from typing import Any

from ruamel.yaml.scanner import RoundTripScanner

_BLANK = " \t"
_LINE_END = "\0\r\n\x85\u2028\u2029"


class TabScanner(RoundTripScanner):
    """A scanner that steps over tabs that separate, and leaves those that indent to be refused."""

    def scan_to_next_token(self) -> Any:
        """Spaces, tabs, line breaks and comments up to the next token; the first comment, if any, is returned."""
        while True:
            comment = super().scan_to_next_token()
            if comment is not None or self.reader.peek() != "\t" or not self._separates():
                return comment
            self._step_over()

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        """What stands between two words of a plain text; tabs at the end of a line are no part of it."""
        length = self._blanks()
        if "\t" not in self.reader.prefix(length):
            return super().scan_plain_spaces(indent, start_mark)
        after = self.reader.peek(length)
        if after in _LINE_END or after == "#":
            self.reader.forward(length)
            return [] if after == "#" else super().scan_plain_spaces(indent, start_mark)
        between = self.reader.prefix(length)
        self.reader.forward(length)
        return [between]

    def _separates(self) -> bool:
        """Whether the tab ahead follows something on its line, or has nothing but a comment after it."""
        after = self.reader.peek(self._blanks())
        line = self.reader.buffer[self.reader.pointer - self.reader.column : self.reader.pointer]
        return bool(line.strip(_BLANK)) or after in _LINE_END or after == "#"

    def _blanks(self) -> int:
        length = 0
        while self.reader.peek(length) in _BLANK:
            length += 1
        return length

    def _step_over(self) -> None:
        self.reader.forward(self._blanks())
