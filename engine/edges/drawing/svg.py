"""A canvas of SVG shapes. All text is escaped; nothing in the file is run or loaded from elsewhere."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

INK, DIM, FAINT, PAPER = "#1f2933", "#52606d", "#9aa5b1", "#ffffff"
STATES = {
    "planned": "#c6e5ff",
    "read": "#e8edf2",
    "later": "#e8edf2",
    "unknown": "#fff3c4",
    "gate": "#ffe0b2",
    "manual": "#ffe0b2",
    "wait": "#e0f2f1",
    "notify": "#e6e0ff",
    "restore": "#f8d7f0",
    "skipped": "#f5f7fa",
    "end": "#e8edf2",
    "container": "#ffffff",
    "failed": "#ffc9c9",
    "unplannable": "#ffc9c9",
}
_FONT = "font-family='ui-sans-serif, Helvetica, Arial, sans-serif'"


class Canvas:
    """Gathers shapes; `text()` gives the document. Coordinates are pixels from the upper left."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shapes: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, hover: str = ""
    ) -> None:
        shape = (
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='4' "
            f"fill={quoteattr(fill)} stroke='{FAINT}'"
        )
        self._shapes.append(
            f"{shape}><title>{_safe(hover)}</title></rect>" if hover else f"{shape}/>"
        )

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """What holds together: an outline, drawn before what lies in it."""
        self._shapes.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' "
            f"fill='#f5f7fa' fill-opacity='0.6' stroke='{FAINT}' stroke-dasharray='4 3'/>"
        )

    def mark(self, x: float, y: float, width: float, height: float, fill: str, hover: str) -> None:
        """A filled stretch without a border, as timelines have."""
        self._shapes.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' "
            f"fill={quoteattr(fill)}><title>{_safe(hover)}</title></rect>"
        )

    def write(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 12,
        ink: str = INK,
        anchor: str = "start",
    ) -> None:
        self._shapes.append(
            f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{ink}' "
            f"text-anchor='{anchor}'>{_safe(words)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, arrow: bool = False) -> None:
        end = " marker-end='url(#arrow)'" if arrow else ""
        self._shapes.append(
            f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{FAINT}'{end}/>"
        )

    def text(self, width: float, height: float) -> str:
        """Return the whole document."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
            f"viewBox='0 0 {width:g} {height:g}' {_FONT}>\n<title>{_safe(self._title)}</title>\n"
            "<defs><marker id='arrow' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
            f"markerHeight='7' orient='auto'><path d='M0 0L8 4L0 8z' fill='{FAINT}'/></marker></defs>\n"
            f"<rect width='100%' height='100%' fill='{PAPER}'/>\n"
        )
        return head + "\n".join(self._shapes) + "\n</svg>\n"


def fitted(words: str, width: float, size: int = 12) -> str:
    """Return the words cut to about `width` pixels."""
    room = max(4, int(width / (size * 0.52)))  # the fonts' letters are about half as wide as high
    return words if len(words) <= room else words[: room - 1] + "…"


def _safe(words: str) -> str:
    """Escape; characters that XML cannot carry are left out."""
    kept = "".join(
        char for char in words if char in "\t\n" or (ord(char) >= 32 and ord(char) not in _UNFIT)
    )
    return escape(kept)


_UNFIT = frozenset({*range(0xD800, 0xE000), 0xFFFE, 0xFFFF, *range(0x7F, 0xA0)})
