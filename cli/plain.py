"""What programs and agents have written, made safe for a terminal."""

from __future__ import annotations

from typing import Final

_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
_DIRECTIONS: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
_SHOWN: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*_CONTROLS, *_DIRECTIONS)
    if chr(code) not in "\t\n"
}


def plain(text: str) -> str:
    """No control character reaches the operator's terminal, and no letter changes its direction.

    An agent chooses what its build says: an escape sequence could rename a window, or worse.
    """
    return text.translate(_SHOWN)
