"""Prometheus' text format, version 0.0.4, read as strictly as it is written down.

The rules: a metric's HELP and TYPE come once, before its samples; all lines of one metric stand
together; names and labels have their alphabets; in a label's value a backslash, a quote and a
newline are escaped and nothing else is; no series comes twice; the last line ends with a newline. And
promtool's advice: counters end in _total, nothing else does; base units; every metric has its help.
"""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
VALUE = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
NO_BASE_UNITS = ("_us", "_ms", "_usec", "_milliseconds", "_minutes", "_kb", "_kilobytes", "_percent")


class Metric:
    def __init__(self, name, help_text):
        self.name, self.help, self.type = name, help_text, None
        self.samples = {}  # {frozenset of labels: value}

    def __getitem__(self, labels):
        return self.samples[frozenset(labels.items())]

    def of(self, **labels):
        """The one value whose labels are these."""
        return self[labels]


def read_labels(text):
    """Of what follows the name: ({labels}, rest)."""
    labels = {}
    if not text.startswith("{"):
        return labels, text
    text = text[1:]
    while not text.startswith("}"):
        name = LABEL.match(text)
        assert name, f"a label's name: {text!r}"
        text = text[name.end():]
        assert text.startswith('="'), text
        value = re.match(r'"((?:[^"\\\n]|\\["\\n])*)"', text[1:])
        assert value, f"a label's value: {text!r}"
        assert name.group() not in labels, f"{name.group()} twice"
        labels[name.group()] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value[1])
        text = text[1 + value.end():]
        if text.startswith(","):
            text = text[1:]
        else:
            assert text.startswith("}"), text
    return labels, text[1:]


def parse(text):
    """{name: Metric}, or an AssertionError that says what is wrong."""
    metrics, current = {}, None
    assert text.endswith("\n"), "the last line has no end"
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[len("# HELP "):].split(" ", 1)
            assert NAME.fullmatch(name) and name not in metrics, line
            assert not re.search(r"\\(?![\\n])", help_text), line
            current = metrics[name] = Metric(name, help_text)
        elif line.startswith("# TYPE "):
            name, kind = line[len("# TYPE "):].split(" ")
            assert current and name == current.name and not current.samples, line
            assert kind in TYPES and current.type is None, line
            current.type = kind
        else:
            assert not line.startswith("#"), f"a comment: {line}"
            name = NAME.match(line)
            assert name and current and name.group() == current.name and current.type, line
            labels, rest = read_labels(line[name.end():])
            assert rest.startswith(" ") and VALUE.fullmatch(rest[1:]), line
            series = frozenset(labels.items())
            assert series not in current.samples, f"twice: {line}"
            current.samples[series] = float(rest[1:])
    return metrics


def lint(metrics):
    for m in metrics.values():
        assert m.help.strip() and m.type, m.name
        assert (m.type == "counter") == m.name.endswith("_total"), m.name
        assert not m.name.removesuffix("_total").endswith(NO_BASE_UNITS), m.name
        for series in m.samples:
            assert all(not name.startswith("__") for name, _ in series), m.name
            if m.type == "counter":
                assert m.samples[series] >= 0
