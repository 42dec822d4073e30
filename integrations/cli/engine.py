"""`llmasos engine`: the engine alone, for trials and for containers."""

from typing import Annotated

import typer

from integrations.cli.console import settings


def command(  # noqa: PLR0913  # each is an option of the command line
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="A model's name or GGUF file [default: llm.model].")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    max_concurrent_requests: Annotated[
        int | None, typer.Option(help="Requests held at once; more get 429.")
    ] = None,
    max_input_tokens: Annotated[int | None, typer.Option(help="Longest prompt.")] = None,
    max_total_tokens: Annotated[
        int | None, typer.Option(help="Longest prompt and answer together.")
    ] = None,
) -> None:
    """Run the engine alone: text generation as TGI serves it, and embeddings."""
    from llmasos import logs  # late: `--help` must not wait for FastAPI
    from llmasos.engine.process import serve
    from llmasos.engine.serving import chosen, with_limits

    own = settings(context)
    place = {"host": host, "port": port}
    limited = with_limits(
        own.engine.model_copy(update={k: v for k, v in place.items() if v is not None}),
        max_concurrent_requests=max_concurrent_requests,
        max_input_tokens=max_input_tokens,
        max_total_tokens=max_total_tokens,
    )
    served = chosen(own, model)
    logs.configure("engine", own.log_level, own.log_format)
    serve(limited, served)
