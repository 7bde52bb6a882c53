"""Traces and measures the calls, waits and fleets of clients with OpenTelemetry."""

from __future__ import annotations

import time

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import urlsplit

import attrs

from .. import _events
from .._client import Client
from .._extras import Needing
from .._version import __version__
from ._attributes import attributes_of, attributes_of_call
from ._instrumented import context_of


with Needing("otel"):
    from opentelemetry import context as contexts
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, MutableMapping

    from opentelemetry.trace import Span

    from .._events import EndOfAttempt, Event, Events

_NAME, _ERRORS_FROM = "vpsorg_async", 400
# As the semantic conventions for HTTP have them.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_LONG_SECONDS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 900)
# By this key instrumentation of HTTP libraries knows that somebody above tells of the request. Has no public name.
_HTTP_IS_TOLD = getattr(contexts, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", contexts.create_key("suppress_http"))


def instrument(client: Client, *, tracer_provider: Any = None, meter_provider: Any = None) -> None:
    """Trace and measure *client*, and all its views. A second time changes nothing.

    Without a provider, the global one is used. Instrumentation of httpx leaves the client's requests to this one.
    Raises `TypeError` if *client* is no `Client`.
    """
    _follow(context_of(client).events, tracer_provider, meter_provider)


def uninstrument(client: Client) -> None:
    """Trace and measure *client* no more."""
    events = context_of(client).events
    if isinstance(events.tracer, _Tracing):
        events.remove(events.tracer.hear)
        events.tracer = None


class _Ignored(TypedDict, total=False):
    """The arguments of OpenTelemetry's other instrumentors. `opentelemetry-instrument` passes them to each one."""

    skip_dep_check: bool
    raise_exception_on_conflict: bool


class VPSOrgInstrumentor:
    """Traces and measures every client that is made from then on. `opentelemetry-instrument` looks for it."""

    def instrument(self, *, tracer_provider: Any = None, meter_provider: Any = None, **_: Unpack[_Ignored]) -> None:
        """Follow all further clients."""
        _events.on_new = lambda events: _follow(events, tracer_provider, meter_provider)

    def uninstrument(self, **_: Unpack[_Ignored]) -> None:
        """Follow no further client."""
        _events.on_new = None


def _follow(events: Events, tracer_provider: Any, meter_provider: Any) -> None:
    if events.tracer is None:
        tracing = _Tracing(tracer_provider, meter_provider)
        events.add(tracing.hear)
        events.tracer = tracing


class _Tracing:
    """Makes the spans and metrics of one client."""

    def __init__(self, tracer_provider: Any, meter_provider: Any) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)

        def seconds(name: str, what: str, buckets: tuple[float, ...]) -> metrics.Histogram:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=buckets)

        self._requests = seconds("http.client.request.duration", "Duration of HTTP client requests.", _SECONDS)
        self._waits = seconds("vpsorg.wait.duration", "Duration of waits for servers.", _LONG_SECONDS)
        self._queued = seconds("vpsorg.call.queued", "Time that calls waited for their turn.", _SECONDS)
        self._pauses = seconds("vpsorg.call.pause", "Pauses that the API asked for.", _LONG_SECONDS)
        # The spans that have begun, and what to restore in their tasks when they end.
        self._spans: dict[object, tuple[Span, Any]] = {}

    def hear(self, event: Event) -> None:
        """Begin or end the span of a call, wait or fleet. Each begins and ends in the same task."""
        subject, _, what = event.name.partition(".")
        fields = event.fields
        if what == "began":
            span = self._tracer.start_span(f"vpsorg.{subject}", attributes=attributes_of(subject, fields))
            self._spans[fields[subject]] = span, contexts.attach(trace.set_span_in_context(span))
        elif what == "ended" and subject != "poll":
            span, before = self._spans.pop(fields[subject], (trace.INVALID_SPAN, None))
            if before is not None:
                contexts.detach(before)
            span.set_attributes(attributes_of(subject, fields))
            _end(span, fields.get("outcome", fields.get("error")))
        self._measure(event.name, fields)

    def _measure(self, name: str, fields: Mapping[str, Any]) -> None:
        if name == "call.ended":
            self._queued.record(fields["queued"], attributes_of_call(fields))
        elif name == "call.paused":
            self._pauses.record(fields["seconds"], {**attributes_of_call(fields), "vpsorg.whose": fields["whose"]})
        elif name == "wait.ended":
            self._waits.record(fields["seconds"], {"vpsorg.goal": fields["goal"], "vpsorg.outcome": fields["outcome"]})

    def attempt(
        self, method: str, url: str, template: str, number: int, headers: MutableMapping[str, str]
    ) -> EndOfAttempt:
        """Begin the span of an attempt, and name it in the request's headers."""
        parts = urlsplit(url)
        about: dict[str, Any] = {
            "http.request.method": method,
            "url.template": template,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }
        again = {"http.request.resend_count": number - 1} if number > 1 else {}
        all_about = {**about, "url.full": url, **again}
        span = self._tracer.start_span(f"{method} {template}", kind=SpanKind.CLIENT, attributes=all_about)
        context = trace.set_span_in_context(span)
        propagate.inject(headers, context)
        before = contexts.attach(contexts.set_value(_HTTP_IS_TOLD, True, context))
        began = time.perf_counter()

        def end(status: int | None, error: str | None) -> None:
            contexts.detach(before)
            error = str(status) if status is not None and status >= _ERRORS_FROM else error
            came = {} if status is None else {"http.response.status_code": status}
            span.set_attributes(came)
            _end(span, error)
            failed = {} if error is None else {"error.type": error}
            self._requests.record(time.perf_counter() - began, {**about, **came, **failed}, context)

        return end

    def poll(self, server: str | None) -> _PollTrace:
        """Begin the span of a poll: a root, because the poll may serve many waits, which are linked with it."""
        attributes = {"vpsorg.poll.kind": "list"} if server is None else {"vpsorg.server.id": server}
        return _PollTrace(self._tracer.start_span("vpsorg.poll", contexts.Context(), attributes=attributes))

    def served(self, wait: int) -> None:
        """Link the span of a wait with that of the poll that has brought something for it."""
        if wait in self._spans:
            self._spans[wait][0].add_link(trace.get_current_span().get_span_context())


@attrs.frozen(eq=False)
class _PollTrace:
    span: Span

    @contextmanager
    def current(self) -> Generator[None]:
        before = contexts.attach(trace.set_span_in_context(self.span, contexts.Context()))
        try:
            yield
        finally:
            contexts.detach(before)

    def end(self, *, failed: bool) -> None:
        _end(self.span, "failed" if failed else None)


def _end(span: Span, error: str | None) -> None:
    if error is not None and error != "done":
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
