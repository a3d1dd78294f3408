"""Pages that need nothing else: no network, no script."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { margin: 0 auto; padding: 1rem; max-width: 70rem; color: #1f2933; background: #fff;
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .2em 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; padding-top: .6rem;
     border-top: 1px solid #cbd2d9; }
h3 { font-size: .9rem; margin: 1rem 0 .3rem; }
p, ul { max-width: 46rem; }
.sub { color: #616e7c; }
ul.findings { list-style: none; padding: 0; }
.findings li { padding: .35rem .7rem; margin: .35rem 0; border-left: 4px solid #2f855a;
               background: #f5f9f6; }
.findings li.look { border-color: #c0392b; background: #fdf4f3; }
.figures { display: grid; gap: 1rem;
           grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
code { white-space: nowrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
dt { color: #616e7c; font-size: .85rem; }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
figure { margin: 0; align-self: end; }
svg { width: 100%; height: auto; display: block; max-width: 36rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: right; border-bottom: 1px solid #e4e7eb;
         white-space: nowrap; }
th { font-weight: 600; color: #616e7c; }
th:first-child, td:first-child { text-align: left; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="sub">$about</p>
$body
</body>
</html>
""")


def document(title: str, about: str, body: str) -> str:
    """A whole page; `title` and `about` are text, `body` is HTML."""
    return PAGE.substitute(title=escape(title), about=escape(about), body=body)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table that scrolls sideways where it is too wide."""
    def cells(tag: str, values: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (f'<div class="wide"><table>\n<thead><tr>{cells("th", heads)}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody></table></div>")


def facts(named: Mapping[str, Any]) -> str:
    """Names, and what is said of each, however long."""
    return "<dl>" + "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
                              for name, value in named.items()) + "</dl>"
