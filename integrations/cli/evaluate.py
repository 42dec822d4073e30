"""`llmasos knowledge evaluate`: how well a collection answers judged questions.

Asks the questions of a file, prints what share was found and how well relevance tells what is
answered; compares with an earlier run, writes a page with plots, and calibrates the collection.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.settings import Settings

if TYPE_CHECKING:  # `--help` must not wait for it
    from knowledge import KnowledgeBase
    from knowledge.evaluation import Comparison, Evaluation, Judged

Opened = Callable[[Settings], AbstractContextManager["KnowledgeBase"]]


def add_evaluate(app: typer.Typer, opened: Opened) -> None:
    """Give an application the command. opened: the knowledge base with an embedding server."""

    @app.command()
    def evaluate(  # noqa: PLR0913  # each is an option of the command line
        context: typer.Context,
        collection: Annotated[str, typer.Argument(help="The collection's name.")],
        queries: Annotated[
            Path,
            typer.Option(help="JSONL: query, relevant (a list of sources), answerable (optional)."),
        ],
        save: Annotated[
            Path | None, typer.Option(help="Keep the run here, to compare with later.")
        ] = None,
        compare: Annotated[
            Path | None, typer.Option(help="A saved run of the same queries to compare with.")
        ] = None,
        html: Annotated[
            Path | None, typer.Option(help="Write a page with plots to this file.")
        ] = None,
        calibrate: Annotated[
            bool, typer.Option("--calibrate", help="Fit the collection's relevance to the queries.")
        ] = False,
        per_query: Annotated[
            bool, typer.Option("--per-query", help="Show each query, the worst first.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Measure how well a collection answers judged queries."""
        from knowledge import evaluation

        judged = evaluation.read_judged(queries)
        before = evaluation.load_evaluation(compare) if compare else None
        if calibrate:
            _calibrate(settings(context), opened, collection, judged)
        with opened(settings(context)) as knowledge:
            run = _run(knowledge, collection, judged)
        comparisons = evaluation.compare(before, run) if before else []
        if save:
            save.write_text(run.model_dump_json(), encoding="utf-8")
        if html:
            from knowledge.evaluation_page import page

            html.write_text(page(f"{collection}: {queries.name}", run, comparisons), "utf-8")
        if json:
            left_out = None if per_query else {"outcomes"}
            told = {"comparisons": [each.model_dump() for each in comparisons]}
            print_json(run.model_dump(exclude=left_out) | told)
        else:
            _show(run, comparisons, per_query=per_query)


def _run(knowledge: "KnowledgeBase", collection: str, judged: "Sequence[Judged]") -> "Evaluation":
    return knowledge.evaluate(collection, judged)


def _calibrate(
    settings: Settings, opened: Opened, collection: str, judged: "Sequence[Judged]"
) -> None:
    """Fit and keep the collection's own calibration; the searches that follow use it."""
    from knowledge.calibration import DEFAULT, fit
    from knowledge.evaluation import cases
    from llmasos.request import LOCAL

    with opened(settings) as knowledge:
        found = cases(knowledge, collection, judged, LOCAL)
        knowledge.set_calibration(collection, fit(found, DEFAULT))
    note(f"{collection}: calibrated on {len(found)} cases")


def _show(run: "Evaluation", comparisons: "Sequence[Comparison]", *, per_query: bool) -> None:
    rows = [
        ("queries", str(run.queries)),
        ("nDCG@10", _said(run.ndcg)),
        ("recall@10", _said(run.recall)),
        ("MRR@10", _said(run.mrr)),
        ("hit rate@5", _said(run.hit)),
    ]
    if run.auroc is not None and run.auroc_interval is not None:
        low, high = run.auroc_interval
        rows.append(("AUROC", f"{run.auroc:.3f} ({low:.3f} to {high:.3f})"))
    print_table(("measure", "value"), list(rows))
    for each in comparisons:
        typer.echo(
            f"{each.measure}: {each.first:.4f} before, {each.second:.4f} now, "
            f"{each.difference:+.4f} ({each.interval[0]:+.4f} to {each.interval[1]:+.4f}), "
            f"p {each.p:.4f} by paired randomisation"
        )
    if per_query:
        worst = sorted(run.outcomes, key=lambda each: (each.ndcg is None, each.ndcg or 0.0))
        print_table(
            ("nDCG@10", "relevance", "query", "first found"),
            [(_said(o.ndcg), _said(o.relevance), o.query, (o.found or ["–"])[0]) for o in worst],
        )


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
