"""Callers: who sends a request, by its API key, and what they may do.

Without any key the caller is whoever uses this machine, and may do everything; as soon as there is
one, every caller needs one. The gate asks `Callers.find`, routes say by `Runs` and the like what
they need. Start reading at `Callers.find`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.datastructures import Headers

from llmasos.errors import KeyRefused, NotAllowed, UnknownJob
from llmasos.jobs import Job
from llmasos.keys import Keys, Scope
from llmasos.network import is_loopback
from llmasos.request import LOCAL, Principal

PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and what they may do."""

    principal: Principal
    scopes: tuple[Scope, ...]
    keyed: bool = True
    """False for who uses this machine, where there are no keys."""

    def may(self, wanted: Scope) -> bool:
        """Whether one of its scopes covers this."""
        return any(each.covers(wanted) for each in self.scopes)

    def require(self, wanted: Scope) -> None:
        """Raises NotAllowed when none of its scopes covers this."""
        if not self.may(wanted):
            raise NotAllowed(
                f"The key '{self.principal.name}'",
                f"do that: it has the scope {', '.join(self.scopes)}",
                f"It needs {wanted}; `llmasos keys add {self.principal.name} --scope {wanted}` "
                "makes one that has it.",
            )

    def on_behalf_of(self, named: Principal | None) -> Principal:
        """With whose rights a request is done: whom it names, if the caller may act for others."""
        if named is None or not self.may(Scope.ACT_AS):
            return self.principal
        own = tuple(each for each in Scope if each in named.scopes and self.may(each))
        return named.model_copy(update={"scopes": own})

    def check_job(self, job: Job, wanted: Scope) -> Job:
        """The job, if it is the caller's own or the scope covers all jobs.

        Raises UnknownJob: a job of another does not exist for them.
        """
        if job.owner != self.principal.id and not self.may(wanted):
            raise UnknownJob(job.id)
        return job


THIS_MACHINE = Caller(LOCAL, (Scope.ADMIN,), keyed=False)


class Callers:
    """Tells callers apart."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def find(self, headers: Headers, peer: str) -> Caller:
        """Who sends this. peer: the address that the connection comes from.

        Raises KeyRefused; NotAllowed where there are no keys and it is not from this machine.
        """
        given = headers.getlist("authorization")
        if given:
            scheme, _, text = given[0].partition(" ")
            if len(given) > 1 or scheme.lower() != "bearer":
                raise KeyRefused("the header Authorization does not have the form `Bearer KEY`")
            if self._keys.any():
                key = self._keys.check(text.strip())
                principal = Principal(id=f"key:{key.name}", name=key.name, scopes=key.scopes)
                return Caller(principal, key.scopes)
        elif self._keys.any():
            raise KeyRefused("none was sent")
        if reason := why_not_local(headers, peer):
            raise NotAllowed("Who calls without an API key", "use this", reason)
        return THIS_MACHINE


def why_not_local(headers: Headers, peer: str) -> str | None:
    """Why a caller does not count as a user of this machine; None when it does.

    A page in a browser can send requests here: its Origin or Sec-Fetch-Site gives it away, and
    its Host does when it had its own name point to this machine (DNS rebinding).
    """
    if not is_loopback(peer):
        return "Without API keys only this machine is served."
    if not is_loopback(_host(headers.get("host", ""))):
        return "Without API keys only this machine is served: the Host must be a loopback address."
    if any(name in headers for name in PROXY_HEADERS):
        return "Without API keys only this machine is served, not callers behind a proxy."
    origin, host = headers.get("origin"), headers.get("host")
    if origin is not None and origin != f"http://{host}":
        return "Pages of other sites may not call this API."
    navigates = headers.get("sec-fetch-mode") == "navigate" and origin is None
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not navigates:
        return "Pages of other sites may not call this API."
    return None


def _host(header: str) -> str:
    """The name in a Host header, without its port; empty when there is none to be found."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


_bearer = HTTPBearer(
    scheme_name="API key",
    description="A key that `llmasos keys add` made. Not needed as long as there is none.",
    auto_error=False,
)


def _caller(
    request: Request, scopes: SecurityScopes, _: Annotated[object, Depends(_bearer)]
) -> Caller:
    """The caller that the gate found. Raises NotAllowed when it lacks a scope."""
    caller: Caller = request.state.caller
    for wanted in scopes.scopes:
        caller.require(Scope(wanted))
    return caller


def _needs(*scopes: Scope) -> Callable[..., Caller]:
    need: Callable[..., Caller] = Security(_caller, scopes=list(scopes))
    return need


Anyone = Annotated[Caller, _needs()]
"""A route's parameter of this type gets the caller; what it may do, the route decides."""
Runs = Annotated[Caller, _needs(Scope.RUN)]
Reads = Annotated[Caller, _needs(Scope.KNOWLEDGE_READ)]
Writes = Annotated[Caller, _needs(Scope.KNOWLEDGE_WRITE)]
Administers = Annotated[Caller, _needs(Scope.ADMIN)]
Measures = Annotated[Caller, _needs(Scope.METRICS)]
