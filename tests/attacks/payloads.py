"""Hostile texts: each would command a terminal, hide or reorder what is read, break markup, or cost too much to draw.

Every control sequence bears MARK in its parameters, so that the oracle knows it from one that the program itself wrote.
"""

from __future__ import annotations

from typing import Final

from tests.attacks.terminal import MARK

ESC, BEL, ST = "\x1b", "\x07", "\x1b\\"

PAYLOADS: Final[dict[str, str]] = {
    "CSI colour": f"{ESC}[31;{MARK}m red",
    "CSI cursor": f"{ESC}[{MARK};1H over",
    "CSI erase": f"{ESC}[2J{ESC}[{MARK}J gone",
    "CSI insert lines": f"{ESC}[{MARK}L",
    "CSI scroll region": f"{ESC}[{MARK};2r",
    "CSI mode": f"{ESC}[?{MARK}h{ESC}[?1049l",
    "CSI mouse on": f"{ESC}[?1003;{MARK}h",
    "CSI device status": f"{ESC}[6n{ESC}[{MARK}n",
    "CSI device attributes": f"{ESC}[{MARK}c{ESC}[>c",
    "CSI window": f"{ESC}[8;{MARK};1t{ESC}[21t",
    "CSI soft reset": f"{ESC}[!p{ESC}[{MARK}p",
    "CSI cut": f"{ESC}[{MARK}",
    "OSC title": f"{ESC}]0;evil {MARK}{BEL}",
    "OSC title by ST": f"{ESC}]2;evil {MARK}{ST}",
    "OSC link": f"{ESC}]8;;https://evil.example/{MARK}{ST}click{ESC}]8;;{ST}",
    "OSC clipboard": f"{ESC}]52;c;{MARK}ZXZpbA=={BEL}",
    "OSC clipboard asked": f"{ESC}]52;c;?{MARK}{BEL}",
    "OSC colour": f"{ESC}]4;1;#{MARK}{BEL}{ESC}]11;#{MARK}{BEL}",
    "OSC notify": f"{ESC}]9;evil {MARK}{BEL}{ESC}]777;notify;evil;{MARK}{BEL}",
    "OSC working folder": f"{ESC}]7;file://evil/{MARK}{BEL}",
    "OSC iTerm file": f"{ESC}]1337;File=inline=1:{MARK}{BEL}",
    "OSC open": f"{ESC}]0;never ended {MARK}",
    "DCS": f"{ESC}P+q{MARK}{ST}",
    "DCS tmux": f"{ESC}Ptmux;{ESC}{ESC}]52;c;{MARK}{BEL}{ST}",
    "DCS sixel": f"{ESC}Pq#0;2;{MARK}{ST}",
    "APC kitty graphics": f"{ESC}_Ga=T;{MARK}{ST}",
    "PM and SOS": f"{ESC}^{MARK}{ST}{ESC}X{MARK}{ST}",
    "full reset": f"{ESC}c after",
    "charset": f"{ESC}(0lqqk{ESC}(B \x0e shift \x0f",
    "C1 CSI": f"\x9b31;{MARK}m \x9b2J",
    "C1 OSC": f"\x9d52;c;{MARK}\x9c",
    "C1 DCS and APC": f"\x90q{MARK}\x9c \x9f{MARK}\x9c",
    "C0": "".join(chr(code) for code in (*range(9), 11, 12, *range(14, 27), 28, 29, 30, 31, 127)),
    "carriage return": "real words\rFAKE WORDS\r\x08\x08",
    "bidi": "\u202egnp.exe\u202c \u2066abc\u2069 \u200f\u200e\u061c",
    "zero-width": "pay\u200bpal \u2060\ufeff\u200c\u00ad",
    "tag characters": "hi" + "".join(chr(0xE0000 + ord(c)) for c in f"evil {MARK}"),
    "zalgo": "Z" + "\u0301\u0315\u031b\u0489" * 200 + "algo" + "\u0336" * 500,
    "line separators": "one\u2028two\u2029three\x85four",
    "noncharacters": "\ufffe\uffff\U0001ffff \ufff9a\ufffab\ufffb",
    "markup": "[bold red]x[/] [/] [@click=app.quit]quit[/] [link=https://evil.example]x[/link] list[int] [",
    "markdown links": (
        "[a](javascript:alert(1)) [b](vscode://file/x) [c](ssh://-oProxyCommand=x) [d](file:///etc/passwd) "
        "[e](data:text/html,x) [f](https://аpple.com) <https://evil.example/"
        + MARK
        + "> ![i](http://evil.example/x.png)"
    ),
    "html": "<script>alert(1)</script><a href='x'>y</a><!-- --> &#27;[31m &#x1b;]0;x",
    "fences": "```\n\x1b[31m\n~~~\n```python\nprint('\x1b]0;x\x07')\n",
    "emoji sequences": "👩‍👩‍👧‍👦 🏳️‍🌈 " + "👨‍" * 300,
    "wide and narrow": "ｗｉｄｅ 漢字 ﷽ 𒐫 ꧅ " * 10,
    "a long word": "w" * 20_000,
    "a long line": "word " * 8_000,
}
HEAVY: Final[dict[str, str]] = {
    "a table of 2,000 rows": "| a | b |\n| --- | --- |\n" + "".join(f"| {n} | value {n} |\n" for n in range(2000)),
    "a list of 5,000 items": "".join(f"- item {n}\n" for n in range(5000)),
    "deep lists": "".join("  " * n + f"- {n}\n" for n in range(200)),
    "deep quotes": ">" * 3000 + " deep\n",
    "many emphases": "*_`[" * 8000,
    "many links": "[a](https://example.org/x) " * 4000,
    "huge lines": ("x" * 100_000 + "\n") * 3,
    "newlines": "\n" * 50_000,
    "a word of 1 MB": "x" * 1_000_000,
    "a line of 1 MB": "word " * 200_000,
    "zalgo": ("Z" + "\u0301\u0315\u031b\u0489" * 50 + " ") * 2000,
    "wide letters": "漢字 " * 100_000,
    "a row of 5,000 cells": "| a " * 5000 + "|\n" + "| --- " * 5000 + "|\n" + "| b " * 5000 + "|\n",
    "code without an end": "```python\n" + "def f(x): return 'x' * 10  # so\n" * 15_000,
    "short lines": "ab\n" * 100_000,
    "short items": "- a\n" * 130_000,
    "short items in items": "\n".join("  " * (n % 12) + "- a" for n in range(40_000)),
}
