"""Results of rehearsals as JUnit XML, which CI systems read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from engine.edges.rehearsal.suite import Result


def written(results: Sequence[Result]) -> str:
    """Return the report's text; each rehearsal is a test case, each file a class."""
    suite = ET.Element(
        "testsuite",
        name="stanch rehearse",
        tests=str(len(results)),
        failures=str(sum(bool(one.misses) for one in results)),
        errors=str(sum(bool(one.error) for one in results)),
        time=f"{sum(one.seconds for one in results):.3f}",
    )
    for one in results:
        file = one.place.rpartition(":")[0]
        case = ET.SubElement(
            suite, "testcase", name=one.name, classname=file, time=f"{one.seconds:.3f}"
        )
        if one.error:
            ET.SubElement(case, "error", message=one.error)
        elif one.misses:
            lines = [
                f"{miss.place}: {miss.what}: expected {miss.expected}; seen {miss.seen}"
                for miss in one.misses
            ]
            failure = ET.SubElement(case, "failure", message=lines[0])
            failure.text = "\n".join([*lines, "", *one.timeline])
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
