"""The kinds of server that there are, and how to find out which one answers at an address.

TGI describes itself at `/info`, OpenAI-compatible servers list their models at `/v1/models`; TGI
has both, so it is asked first. Imported when the first request comes: TGI's client takes most of
a second to load. Start reading at `opened`.
"""

from llmasos.errors import EngineError, EngineMisconfigured
from llmasos.openai_compatible import OpenAIBackend
from llmasos.pool.plan import Address, Timeouts
from llmasos.tgi import TGIBackend

AnyBackend = TGIBackend | OpenAIBackend


def opened(address: Address, timeouts: Timeouts) -> AnyBackend:
    """A backend for an address, of its kind. Raises EngineError when it has to ask and cannot."""
    if address.kind == "tgi":
        return _tgi(address, timeouts)
    if address.kind == "openai":
        return _openai(address, timeouts)
    tgi = _tgi(address, timeouts)
    try:
        described = tgi.wire.look("/info")
        if isinstance(described, dict) and "model_id" in described:
            return tgi
        listed = tgi.wire.look("/v1/models")
    except EngineError:
        tgi.close()
        raise
    tgi.close()
    if listed is None:
        words = (
            "it is no model server that is known here: it has neither TGI's /info nor the "
            "/v1/models of an OpenAI-compatible server. Look at the address and the port"
        )
        raise EngineMisconfigured(address.url, words)
    return _openai(address, timeouts)


def _tgi(address: Address, timeouts: Timeouts) -> TGIBackend:
    return TGIBackend(
        address.url,
        key=address.key,
        model=address.model or "tgi",
        connect_timeout=timeouts.connect,
        idle_timeout=timeouts.idle,
    )


def _openai(address: Address, timeouts: Timeouts) -> OpenAIBackend:
    return OpenAIBackend(
        address.url,
        key=address.key,
        model=address.model,
        context=address.context,
        timeouts=(timeouts.connect, timeouts.idle),
    )
