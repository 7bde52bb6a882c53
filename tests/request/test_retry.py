"""The table of what to do after an attempt: each pair has a verdict, and each verdict is obeyed."""

# ruff: noqa: E501 - a table reads best in columns
from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import action, detail
from tests.rawserver import RawServer, certificates, drop, json
from vpsorg_async import APIConnectionError, Client
from vpsorg_async._policies import RetryPolicy
from vpsorg_async._request.call import ONCE_ONLY, RetrySafety
from vpsorg_async._request.outcome import Outcome, Reconcile, Retry, Return, outcome_of_status
from vpsorg_async._request.retry import TABLE, leaves_doubt, verdict_of


PAIRS = sorted(TABLE, key=str)
IMPOSSIBLE = {(safety, Outcome.REPEAT_REFUSED) for safety in RetrySafety} - {
    (RetrySafety.IDEMPOTENT, Outcome.REPEAT_REFUSED),
    (RetrySafety.STATE_CHECKED, Outcome.REPEAT_REFUSED),
}
SECONDS = st.floats(0, 1e9)
POLICIES = st.builds(RetryPolicy, attempts=st.integers(1, 10), initial=SECONDS, maximum=SECONDS, budget=SECONDS)


def judged(safety, outcome, **more):
    facts = {"policy": RetryPolicy(), "charged": 1, "pauses": 0, "jitter": 0.5, **more}
    return verdict_of(safety, outcome, **facts)


class TestTable:
    def test_every_pair_that_can_occur_has_a_verdict_and_no_other_is_in_it(self):
        assert set(TABLE) == {(safety, outcome) for safety in RetrySafety for outcome in Outcome} - IMPOSSIBLE

    @pytest.mark.parametrize(("safety", "outcome"), PAIRS)
    def test_every_verdict_is_one_of_three(self, safety, outcome):
        assert isinstance(judged(safety, outcome), Return | Retry | Reconcile)

    @pytest.mark.parametrize(("safety", "outcome"), PAIRS)
    def test_what_must_not_be_sent_twice_is_sent_again_only_if_it_was_not_carried_out(self, safety, outcome):
        """R3: create, reboot and foreign POSTs."""
        if safety in ONCE_ONLY and isinstance(judged(safety, outcome), Retry):
            assert outcome in (Outcome.LIMITED, Outcome.NOT_SENT)

    @pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.FAILED, Outcome.UNSUPPORTED, Outcome.UNREADABLE])
    def test_a_lost_create_or_reboot_is_polled_into(self, outcome):
        """R6: never again, never given up for not done."""
        assert judged(RetrySafety.RECONCILE, outcome) == Reconcile()
        assert leaves_doubt(RetrySafety.RECONCILE, outcome)

    @pytest.mark.parametrize("safety", RetrySafety)
    @pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.LIMITED])
    def test_what_is_proven_not_carried_out_goes_again_whatever_its_class(self, safety, outcome):
        """R2: connection refused, DNS, TLS handshake; 429 and 503 with Retry-After."""
        assert isinstance(judged(safety, outcome), Retry)
        assert not leaves_doubt(safety, outcome)

    @pytest.mark.parametrize(("safety", "outcome"), PAIRS)
    def test_the_policy_bounds_all_but_the_api_s_own_pauses(self, safety, outcome):
        """R1: within the policy."""
        verdict = judged(safety, outcome, charged=4)

        assert isinstance(verdict, Retry) == (outcome is Outcome.LIMITED)

    @pytest.mark.parametrize(("safety", "outcome"), PAIRS)
    def test_what_goes_again_although_it_may_have_been_done_leaves_doubt(self, safety, outcome):
        """R4: its repeat may be refused for that."""
        if isinstance(judged(safety, outcome), Retry) and outcome not in (Outcome.LIMITED, Outcome.NOT_SENT):
            assert leaves_doubt(safety, outcome)


class TestStatuses:
    def test_any_5xx_leaves_a_create_in_doubt(self):
        """R3: but 503 with Retry-After; so does what is no status of HTTP."""
        for status in range(500, 1000):
            outcome = outcome_of_status(status, retry_after=None)
            assert judged(RetrySafety.RECONCILE, outcome) == Reconcile()
            told = judged(RetrySafety.RECONCILE, outcome_of_status(status, retry_after=0.0))
            assert isinstance(told, Retry if status == 503 else Reconcile)

    @pytest.mark.parametrize("safety", RetrySafety)
    @pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 422])
    def test_the_others_are_final(self, safety, status):
        """R10: whatever the class; but a create or reboot that was redirected may have been executed."""
        redirected = safety is RetrySafety.RECONCILE and status == 301

        assert judged(safety, outcome_of_status(status, retry_after=1.0)) == (Reconcile() if redirected else Return())


class TestPauses:
    @given(
        POLICIES,
        st.sampled_from(sorted(set(Outcome) - {Outcome.REPEAT_REFUSED}, key=str)),
        st.integers(0, 10**6),
        st.floats(0, 1),
        st.none() | st.floats(0, 1e12),
    )
    def test_they_are_at_least_what_the_api_asks_and_at_most_the_longest_besides(
        self, policy, outcome, pauses, jitter, retry_after
    ):
        verdict = judged(
            RetrySafety.SAFE, outcome, policy=policy, charged=0, pauses=pauses, jitter=jitter, retry_after=retry_after
        )

        if isinstance(verdict, Retry):
            asked = retry_after or 0.0
            least = policy.initial if outcome is Outcome.LIMITED and retry_after is None else asked
            assert verdict.least == least
            assert least <= verdict.after <= max(policy.maximum, least)
            assert verdict.after <= max(policy.initial * 2.0 ** min(pauses, 64), least)

    def test_they_double(self):
        policy = RetryPolicy(initial=0.5, maximum=20)

        pauses = [judged(RetrySafety.SAFE, Outcome.LOST, policy=policy, pauses=n, jitter=1.0).after for n in range(8)]

        assert pauses == [0.5, 1, 2, 4, 8, 16, 20, 20]

    def test_their_jitter_is_full(self):
        assert judged(RetrySafety.SAFE, Outcome.LOST, pauses=3, jitter=0.0).after == 0.0


PATH = "/servers/7/"
QUICK = RetryPolicy(initial=0.001, maximum=0.001)
CALLS = {
    RetrySafety.SAFE: ("GET", PATH, lambda client: client.servers.get(7)),
    RetrySafety.IDEMPOTENT: ("DELETE", PATH, lambda client: client.servers.delete(7)),
    RetrySafety.STATE_CHECKED: ("POST", f"{PATH}start/", lambda client: client.servers.start(7)),
    RetrySafety.RECONCILE: ("POST", f"{PATH}reboot/", lambda client: client.servers.reboot(7)),
    RetrySafety.NEVER: ("POST", "/anything/", lambda client: client.request("POST", "/anything/")),
}
GOOD = {
    RetrySafety.SAFE: json(200, detail()),
    RetrySafety.IDEMPOTENT: json(204, None),
    RetrySafety.STATE_CHECKED: json(200, action()),
    RetrySafety.RECONCILE: json(200, action()),
    RetrySafety.NEVER: json(200, {}),
}
REPLIES = {
    Outcome.SUCCEEDED: [],
    Outcome.UNREADABLE: [json(200, {}, {"Content-Encoding": "gzip"})],
    Outcome.REDIRECTED: [json(302, {}, {"Location": "https://elsewhere.example/"})],
    Outcome.REFUSED: [json(409, {"detail": "no"})],
    Outcome.REPEAT_REFUSED: [drop()],
    Outcome.GAVE_UP: [json(408, {})],
    Outcome.UNSUPPORTED: [json(501, {})],
    Outcome.LIMITED: [json(429, {}, {"Retry-After": "0"})],
    Outcome.FAILED: [json(502, {})],
    Outcome.LOST: [drop()],
    # Before a byte of the request has left: see `observed`.
    Outcome.NOT_SENT: [],
    Outcome.UNVERIFIED: [],
    Outcome.UNSENDABLE: [],
}
REFUSAL = {RetrySafety.IDEMPOTENT: json(404, {}), RetrySafety.STATE_CHECKED: json(400, {"error": "no"})}
UNSENT = "APIConnectionError (not sent)"

# What the user gets, the methods of the requests that arrived, and "+" for each retry or pause that was told.
SEEN = {
    #                       SAFE               IDEMPOTENT          STATE_CHECKED       RECONCILE          NEVER
    Outcome.SUCCEEDED:      ("Server G",        "None D",           "Action P",         "Action P",        "Response P"),
    Outcome.UNREADABLE:     ("ResponseError G", "ResponseError D",  "ResponseError P",  "Action PG",       "ResponseError P"),
    Outcome.REDIRECTED:     ("ResponseError G", "ResponseError D",  "ResponseError P",  "Action PG",       "ResponseError P"),
    Outcome.REFUSED:        ("APIStatusError G", "APIStatusError D", "APIStatusError P", "APIStatusError P", "APIStatusError P"),
    Outcome.REPEAT_REFUSED: (None,              "None DD+",         "Action PPG+",      None,              None),
    Outcome.GAVE_UP:        ("Server GG+",      "None DD+",         "Action PP+",       "APIStatusError P", "APIStatusError P"),
    Outcome.UNSUPPORTED:    ("ServerError G",   "ServerError D",    "ServerError P",    "Action PG",       "ServerError P"),
    Outcome.LIMITED:        ("Server GG+",      "None DD+",         "Action PP+",       "Action PP+",      "Response PP+"),
    Outcome.FAILED:         ("Server GG+",      "None DD+",         "Action PP+",       "Action PG",       "ServerError P"),
    Outcome.NOT_SENT:       ("Server G+",       "None D+",          "Action P+",        "Action P+",       "Response P+"),
    Outcome.LOST:           ("Server GG+",      "None DD+",         "Action PP+",       "Action PG",       "OutcomeUnknownError P"),
    Outcome.UNVERIFIED:     (f"{UNSENT} ",      f"{UNSENT} ",       f"{UNSENT} ",       f"{UNSENT} ",      f"{UNSENT} "),
    Outcome.UNSENDABLE:     (f"{UNSENT} ",      f"{UNSENT} ",       f"{UNSENT} ",       f"{UNSENT} ",      f"{UNSENT} "),
}  # fmt: skip
CELLS = {
    (safety, outcome): seen
    for outcome, row in SEEN.items()
    for safety, seen in zip(RetrySafety, row, strict=True)
    if seen is not None
}


async def observed(safety, outcome):
    """Make the call of *safety* so that its first attempt ends in *outcome*, and return what there is to see of it."""
    tls = {Outcome.NOT_SENT: certificates().valid, Outcome.UNVERIFIED: certificates().expired}.get(outcome)
    method, path, call = CALLS[safety]
    events = []
    with RawServer(tls=tls) as server:
        # What a poll shows: a lost start or reboot has been carried out.
        poll = json(200, detail(status="starting" if safety is RetrySafety.STATE_CHECKED else "rebooting"))
        server.answer("GET", PATH, poll)
        then = REFUSAL[safety] if outcome is Outcome.REPEAT_REFUSED else GOOD[safety]
        server.answer(method, path, [*REPLIES[outcome], then])
        if outcome is Outcome.NOT_SENT:
            server.refuse_first(1)
        client = Client(
            "vps_test",
            base_url=server.base_url,
            retry=QUICK,
            timeout=3,
            ssl_context=certificates().trust,
            on_event=events.append,
        )
        async with client:
            if outcome is Outcome.UNSENDABLE:
                client.http.headers["X-A"] = " a"
            try:
                value = type(await call(client)).__name__.removesuffix("Type")
            except Exception as error:  # noqa: BLE001 - what is seen where a verdict is wrong may be anything
                not_sent = isinstance(error, APIConnectionError) and not error.sent
                value = type(error).__name__ + (" (not sent)" if not_sent else "")
        arrived = "".join(request.method[0] for request in server.requests)
    again = sum(event.name == "call.attempt" for event in events)
    return f"{value} {arrived}" + "+" * again


@pytest.mark.anyio
class TestCells:
    """Each cell of the table, through a real client and a real socket."""

    def test_each_cell_has_a_row(self):
        assert set(CELLS) == set(TABLE)

    @pytest.mark.parametrize(("safety", "outcome"), sorted(CELLS, key=str))
    async def test_the_user_sees_what_the_table_says(self, safety, outcome):
        """R3: nothing is sent twice, polled into or given up but by the table."""
        assert await observed(safety, outcome) == CELLS[safety, outcome]

    @pytest.mark.parametrize(("safety", "outcome"), sorted(CELLS, key=str))
    async def test_another_verdict_would_be_seen(self, safety, outcome, monkeypatch):
        """R3: nobody decides it again, above or below."""
        for other in {Return, Retry, Reconcile} - {TABLE[safety, outcome]}:
            monkeypatch.setitem(TABLE, (safety, outcome), other)
            assert await observed(safety, outcome) != CELLS[safety, outcome], other
