"""An evaluation as one HTML file: figures, and plots drawn as inline SVG. Needs nothing else."""

from collections.abc import Sequence
from html import escape

from knowledge.evaluation import MEASURES, Comparison, Evaluation

WIDTH, HEIGHT, EDGE = 420, 200, 30
NAMES = {"ndcg": "nDCG@10", "recall": "recall@10", "mrr": "MRR@10", "hit": "hit rate@5"}
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;text-align:left;"
    "border-bottom:1px solid #ddd}figure{display:inline-block;margin:0 1rem 1rem 0}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}td,th{border-color:#444}"
    "svg text{fill:#eee}}"
)


def page(title: str, run: Evaluation, comparisons: Sequence[Comparison] = ()) -> str:
    """The page of a run, and of how it compares with another."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        _figures(run),
        _compared(comparisons),
        _histogram("nDCG@10 of the queries", [o.ndcg for o in run.outcomes if o.ndcg is not None]),
        _curve(run) if run.auroc is not None else "",
        _queries(run),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style>{''.join(parts)}</html>\n"
    )


def _figures(run: Evaluation) -> str:
    rows = [(NAMES[name], _said(getattr(run, name))) for name in MEASURES]
    if run.auroc is not None and run.auroc_interval is not None:
        low, high = run.auroc_interval
        rows.append(("answerable or not, AUROC", f"{run.auroc:.3f} ({low:.3f} to {high:.3f})"))
    return _table(("measure", f"{run.queries} queries"), rows)


def _compared(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    rows = [
        (
            NAMES[each.measure],
            f"{each.first:.4f}",
            f"{each.second:.4f}",
            f"{each.difference:+.4f} ({each.interval[0]:+.4f} to {each.interval[1]:+.4f})",
            f"{each.p:.4f}",
        )
        for each in comparisons
    ]
    heads = ("measure", "before", "now", "difference (95 % interval)", "p (randomisation)")
    return f"<h2>Beside the other run</h2>{_table(heads, rows)}"


def _queries(run: Evaluation) -> str:
    worst = sorted(run.outcomes, key=lambda each: (each.ndcg is None, each.ndcg or 0.0))
    rows = [
        (each.query, _said(each.ndcg), _said(each.relevance), ", ".join(each.found[:3]))
        for each in worst
    ]
    heads = ("query", "nDCG@10", "relevance", "found")
    return f"<h2>Queries, the worst first</h2>{_table(heads, rows)}"


def _histogram(caption: str, values: Sequence[float], bins: int = 10) -> str:
    """How many values fall into each tenth."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value * bins))] += 1
    step = (WIDTH - 2 * EDGE) / bins
    scale = (HEIGHT - 2 * EDGE) / max(1, *counts)
    bars = "".join(
        f'<rect x="{EDGE + n * step + 1:.1f}" y="{HEIGHT - EDGE - count * scale:.1f}" '
        f'width="{step - 2:.1f}" height="{count * scale:.1f}" fill="#4a7ebb">'
        f"<title>{n / bins:.1f} to {(n + 1) / bins:.1f}: {count}</title></rect>"
        for n, count in enumerate(counts)
    )
    return _plot(caption, bars, "0", "1")


def _curve(run: Evaluation) -> str:
    """The ROC curve of the relevance."""
    ranked = sorted(run.outcomes, key=lambda each: -(each.relevance or 0.0))
    yes = max(1, sum(each.answerable for each in ranked))
    no = max(1, len(ranked) - yes)
    x, y = 0.0, 0.0
    points = [(x, y)]
    for each in ranked:
        x, y = (x, y + 1 / yes) if each.answerable else (x + 1 / no, y)
        points.append((x, y))
    wide, high = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    line = " ".join(f"{EDGE + a * wide:.1f},{HEIGHT - EDGE - b * high:.1f}" for a, b in points)
    drawn = f'<polyline points="{line}" fill="none" stroke="#4a7ebb" stroke-width="2"/>'
    return _plot("Answerable queries kept, by unanswerable ones let through", drawn, "0", "1")


def _plot(caption: str, drawn: str, left: str, right: str) -> str:
    base = HEIGHT - EDGE
    axis = f'<path d="M{EDGE} {EDGE}V{base}H{WIDTH - EDGE}" fill="none" stroke="#888"/>'
    labels = (
        f'<text x="{EDGE}" y="{HEIGHT - 10}" font-size="12">{left}</text>'
        f'<text x="{WIDTH - EDGE - 8}" y="{HEIGHT - 10}" font-size="12">{right}</text>'
    )
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img">{axis}{drawn}{labels}</svg></figure>'
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
