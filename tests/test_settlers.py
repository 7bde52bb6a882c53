"""What a look says of a call that its responses do not tell, and what is said where it does not."""

from __future__ import annotations

import datetime as dt

from email.utils import format_datetime

import anyio
import pytest

from tests.helpers import action, detail, page
from tests.helpers_api import ITS_CLOCK, SPEC, FakeAPI, StillClock, VirtualClock, client_of, client_over
from tests.rawserver import drop, json, text
from vpsorg_async import (
    APIStatusError,
    APITimeoutError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RetryPolicy,
    VPSError,
)
from vpsorg_async._settlers import names_no_zone


pytestmark = pytest.mark.anyio
PATH = "/servers/7/"
REFUSALS = [400, 404, 409, 410, 418, 422, 423]
STARTED = ["starting", "active"]


@pytest.fixture
def api(server):
    return FakeAPI(server)


class HookError(Exception):
    """What a hook of the user's raises."""


async def failing(_response):
    raise HookError("from the hook")


class TestRefusedRepeats:
    @pytest.mark.parametrize("status", REFUSALS)
    @pytest.mark.parametrize("shown", STARTED)
    async def test_a_start_that_a_look_shows_was_carried_out(self, server, status, shown):
        """R23: its first response was lost, and the repeat is refused in whatever way."""
        server.answer("POST", f"{PATH}start/", [drop(), json(status, {"detail": "another action is in progress"})])
        server.answer("GET", PATH, json(200, detail(status=shown)))

        async with client_of(server) as client:
            started = await client.servers.start(7)

        assert (started.status, started.server.status) == ("success", shown)
        assert started.message == "another action is in progress"
        assert len(server.requests) == 3

    @pytest.mark.parametrize("status", REFUSALS)
    async def test_a_stop_that_was_not_is_the_refusal_which_says_that_it_was_sent(self, server, status):
        """R23: a fleet calls it unknown."""
        server.answer("POST", f"{PATH}stop/", [drop(), json(status, {"detail": "no"})])
        server.answer("GET", PATH, json(200, detail(status="active")))

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.servers.stop(7)

        assert (caught.value.status_code, caught.value.sent) == (status, True)

    @pytest.mark.parametrize("status", [401, 403])
    async def test_a_token_that_is_refused_is_no_word_about_the_server(self, server, status):
        """R23: no look, which would be refused too."""
        server.answer("POST", f"{PATH}stop/", [drop(), json(status, {"detail": "no"})])

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.servers.stop(7)

        assert (caught.value.status_code, caught.value.sent, len(server.requests)) == (status, True, 2)

    async def test_a_refusal_with_no_lost_attempt_before_it_is_final(self, server):
        """R23: nothing is in doubt, and nothing is looked for."""
        server.answer("POST", f"{PATH}start/", json(409, {"detail": "no"}))

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.servers.start(7)

        assert (caught.value.sent, len(server.requests)) == (False, 1)

    @pytest.mark.parametrize("reply", [json(403, {}), json(500, {}), drop()], ids=["403", "500", "lost"])
    async def test_a_look_that_fails_raises_its_own_error_which_says_that_it_was_sent(self, server, reply):
        """R23: the first attempt may have been carried out."""
        server.answer("POST", f"{PATH}stop/", [drop(), json(409, {"detail": "no"})])
        server.answer("GET", PATH, reply)

        async with client_of(server) as client:
            with pytest.raises(VPSError) as caught:
                await client.servers.stop(7)

        assert caught.value.request_summary == "GET /servers/7/"
        assert caught.value.sent is True

    @pytest.mark.parametrize("status", REFUSALS)
    @pytest.mark.parametrize("shown", [json(404, {}), json(410, {}), json(200, detail(status="deleted"))], ids=repr)
    async def test_a_delete_whose_server_is_gone_was_carried_out(self, server, status, shown):
        """R23: however the repeat was refused."""
        server.answer("DELETE", PATH, [drop(), json(status, {"detail": "locked"})])
        server.answer("GET", PATH, shown)

        async with client_of(server) as client:
            assert await client.servers.delete(7) is None

    async def test_a_delete_whose_server_is_there_is_the_refusal(self, server):
        """R23: and a GET that fails is its own error."""
        server.answer(
            "DELETE", PATH, [drop(), json(423, {"detail": "locked"}), drop(), json(423, {"detail": "locked"})]
        )
        server.answer("GET", PATH, [json(200, detail()), json(403, {})])

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as refused:
                await client.servers.delete(7)
            with pytest.raises(PermissionDeniedError) as looked:
                await client.servers.delete(7)

        assert (refused.value.status_code, refused.value.sent, looked.value.sent) == (423, True, True)

    async def test_a_request_of_the_user_s_own_goes_by_404_and_410_alone(self, server):
        """R23: nobody knows what a GET of that path says."""
        server.answer("DELETE", "/keys/1/", [drop(), json(410, {}), drop(), json(409, {"detail": "no"})])

        async with client_of(server) as client:
            response = await client.request("DELETE", "/keys/1/")
            with pytest.raises(APIStatusError) as caught:
                await client.request("DELETE", "/keys/1/")

        assert (response.status_code, caught.value.status_code, caught.value.sent) == (204, 409, True)


class TestSilence:
    @pytest.mark.parametrize("status", [200, 202, 204])
    @pytest.mark.parametrize(("name", "during"), [("start", "starting"), ("stop", "stopping"), ("reboot", "rebooting")])
    async def test_a_command_that_is_accepted_without_a_word_is_an_action(self, server, status, name, during):
        """R21: its server is what a look shows, or what the command leads to if the look fails."""
        server.answer("POST", f"{PATH}{name}/", text(status, ""))
        server.answer("GET", PATH, [json(200, detail(name="seen", status=during)), json(500, {})])

        async with client_of(server, timeout=2, retry=RetryPolicy.none()) as client:
            first = await getattr(client.servers, name)(7)
            second = await getattr(client.servers, name)(7)

        assert (first.server.name, first.server.status, first.status) == ("seen", during, "success")
        assert (second.server.id, second.server.status) == (7, during)
        assert len(server.requests_to("POST", f"{PATH}{name}/")) == 2

    @pytest.mark.parametrize("status", [200, 202, 204])
    async def test_an_update_without_a_body_is_followed_by_a_get(self, server, status):
        """R21: so is a replacement."""
        for method in ("PATCH", "PUT"):
            server.answer(method, PATH, text(status, ""))
        server.answer("GET", PATH, json(200, detail(name="b")))

        async with client_of(server) as client:
            updated = await client.servers.update(7, name="b")
            replaced = await client.servers.replace(7, name="b", hostname="b.example.com", backups_enabled=True)

        assert (updated.name, replaced.name) == ("b", "b")

    async def test_one_whose_get_fails_says_that_it_was_sent(self, server):
        """R21: the update was carried out, whatever the GET says."""
        server.answer("PATCH", PATH, text(204, ""))
        server.answer("GET", PATH, json(403, {}))

        async with client_of(server) as client:
            with pytest.raises(PermissionDeniedError) as caught:
                await client.servers.update(7, name="b")

        assert caught.value.sent is True

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    async def test_a_create_that_is_accepted_without_a_word_is_looked_for(self, server, api, status):
        """R21: nobody else tells its id."""
        server.answer("POST", "/servers/", api.committed(lambda _: text(status, "")))

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert [made.id] == api.created

    async def test_null_is_an_empty_list(self, server):
        """R21: some serializers write it so."""
        server.answer("GET", "/servers/", json(200, {"count": 0, "next": None, "results": None}))

        async with client_of(server) as client:
            assert await client.servers.list() == []

    async def test_a_200_to_a_start_that_cannot_be_read_leaves_the_status_from_before_unproven(self, server):
        """R21: it may have been carried out, and a wait that follows does not take `active` from before a reboot."""
        server.answer("POST", f"{PATH}stop/", text(200, "<html>", "text/html"))
        server.answer("GET", PATH, [json(200, detail(status="active"))] * 2 + [json(200, detail(status="stopped"))])

        async with client_of(server) as client:
            with pytest.raises(VPSError):
                await client.servers.stop(7)
            with anyio.fail_after(60):
                server_now = await client.servers.wait_until(7, status="stopped")

        assert server_now.status == "stopped"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_create_that_is_redirected_is_looked_for(self, server, api, status):
        """C13: the API may have made the server before it answered."""
        moved = text(status, "", headers={"Location": "https://elsewhere.example/servers/?token=secret"})
        server.answer("POST", "/servers/", api.committed(lambda _: moved))

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert [made.id] == api.created
        assert len(server.requests_to("POST", "/servers/")) == 1

    @pytest.mark.parametrize("status", [302, 303])
    async def test_one_that_is_not_found_names_the_target(self, server, api, status):
        """C13: without the query, which may hold a secret."""
        moved = text(status, "", headers={"Location": "https://elsewhere.example/servers/?token=secret"})
        server.answer("POST", "/servers/", moved)

        async with client_over(server, StillClock(), timeout=0.9) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.servers.create(**SPEC)

        assert f"was answered {status}" in str(caught.value)
        assert "a redirect to https://elsewhere.example/servers/" in str(caught.value)
        assert "secret" not in str(caught.value)

    async def test_a_reboot_that_is_redirected_is_looked_for(self, server):
        """C13: never sent again."""
        server.answer("POST", f"{PATH}reboot/", text(303, "", headers={"Location": "/elsewhere/"}))
        server.answer("GET", PATH, json(200, detail(status="rebooting")))

        async with client_of(server) as client:
            assert (await client.servers.reboot(7)).server.status == "rebooting"

    @pytest.mark.parametrize("verb", ["start", "stop", "delete"])
    async def test_another_command_that_is_redirected_is_unknown_in_a_fleet(self, server, verb):
        """C13: it may have been carried out, and a program that repeats what is failed must not repeat it."""
        moved = text(303, "", headers={"Location": "/elsewhere/"})
        server.answer("DELETE" if verb == "delete" else "POST", PATH if verb == "delete" else f"{PATH}{verb}/", moved)

        async with client_of(server) as client:
            report = await getattr(client.fleet([7]), verb)(wait=False)

        assert [outcome.state for outcome in report] == ["unknown"]


class TestHooks:
    @pytest.mark.parametrize("status", [201, 500, 503])
    async def test_a_create_over_which_a_hook_raises_is_looked_for_and_then_the_hook_s_error_comes(
        self, server, api, status
    ):
        """R34: another create of the name is not handed its server."""
        server.answer("POST", "/servers/", api.committed(lambda reply: reply if status == 201 else json(status, {})))
        told = []

        async with client_of(server, on_event=lambda event: told.append(event.name)) as client:
            client.http.event_hooks["response"] = [on_posts(failing)]
            with pytest.raises(HookError):
                await client.servers.create(**SPEC)
            client.http.event_hooks["response"] = []
            server.answer("POST", "/servers/", api.committed(lambda _: drop()))
            second = await client.servers.create(**SPEC)

        assert told.count("create.reconciled") == 2
        assert second.id == api.created[1]

    async def test_one_that_is_not_found_is_the_hook_s_error_too(self, server, api):
        """R34: there may be a server that no code knows."""
        server.answer("POST", "/servers/", json(500, {}))

        async with client_over(server, StillClock(), timeout=0.9) as client:
            client.http.event_hooks["response"] = [on_posts(failing)]
            with pytest.raises(HookError):
                await client.servers.create(**SPEC)

    async def test_a_hook_may_raise_an_error_of_this_library_that_is_about_another_call(self, server, api):
        """R34: a create, then a start; the error must not say that nothing was sent."""
        server.answer("POST", f"{PATH}start/", json(200, action(7, "starting")))

        async def slow(_response):
            raise APITimeoutError("the audit log was slow", sent=False)

        async with client_of(server) as client:
            client.http.event_hooks["response"] = [on_posts(slow)]
            for call in (client.servers.create(**SPEC), client.servers.start(7)):
                with pytest.raises(APITimeoutError, match="audit log") as caught:
                    await call
                assert caught.value.sent is True

        assert api.listings == 1

    async def test_a_reboot_over_which_a_hook_raises_counts_for_the_wait_that_follows(self, server):
        """R34: it was carried out, whatever the hook says."""
        server.answer("POST", f"{PATH}reboot/", json(200, action(7, "rebooting")))
        statuses = ["rebooting", "rebooting", "active"]
        server.answer("GET", PATH, [json(200, detail(status=status)) for status in statuses])

        async with client_of(server) as client:
            client.http.event_hooks["response"] = [on_posts(failing)]
            with pytest.raises(HookError):
                await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active")

        assert len(server.requests_to("GET", PATH)) == 3

    async def test_a_hook_that_raises_over_an_answer_that_leaves_no_doubt_is_just_an_error(self, server, api):
        """R34: a refused create is not looked for."""
        server.answer("POST", "/servers/", json(402, {"detail": "no credits"}))

        async with client_of(server) as client:
            client.http.event_hooks["response"] = [on_posts(failing)]
            with pytest.raises(HookError):
                await client.servers.create(**SPEC)

        assert len(server.requests) == 1


class TestWords:
    async def test_it_says_what_so_many_whole_listings_have_said_and_what_to_do(self, server):
        """C12: whatever cut the last one short; an answer that came was not lost."""
        server.answer("POST", "/servers/", json(503, {}))
        date = {"Date": format_datetime(ITS_CLOCK, usegmt=True)}
        server.answer("GET", "/servers/", [json(200, page(), date)] * 9 + [json(500, {})])
        clock = VirtualClock()

        async with client_over(server, clock) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.servers.create(**SPEC)

        text_ = str(caught.value)
        assert text_.startswith("the create of 'web-02' was answered 503; it was not found in 9 listings so far; ")
        assert "the last listing failed: GET /servers/ was answered 500" in text_
        assert "lost" not in text_
        assert text_.endswith("Before you create it again, list the servers and look for the name 'web-02'")


class TestAlikeNames:
    async def test_names_that_differ_in_case_go_one_after_another_and_none_is_handed_another_s(self, server, api):
        """C14: six lost creates at once, by two views of one client."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        made = []

        async with client_of(server) as client, anyio.create_task_group() as group:
            views = [client, client.with_options(timeout=20)]

            async def create(name, view):
                server_ = await view.servers.create(**{**SPEC, "name": name})
                made.append((name, server_.name, server_.id))

            for name in ("web", "WEB", "Web"):
                for view in views:
                    group.start_soon(create, name, view)

        assert all(name == given for name, given, _ in made)
        assert sorted(server_id for _, _, server_id in made) == sorted(api.created)

    async def test_a_client_does_not_adopt_what_another_client_of_this_process_has_returned(self, server, api):
        """C14: the same name at the same time; the second create made nothing."""
        posted = anyio.Event()
        server.answer("POST", "/servers/", [api.create, drop()])
        made, unknown = [], []

        async def first():
            async with client_of(server) as client:
                client.http.event_hooks["response"] = [hold]
                made.append(await client.servers.create(**SPEC))

        async def hold(_response):
            posted.set()
            await server.arrived(2, "POST")

        async def second():
            async with client_of(server, timeout=1.5) as client:
                with pytest.raises(OutcomeUnknownError) as caught:
                    await client.servers.create(**SPEC)
                unknown.append(caught.value)

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await posted.wait()
            group.start_soon(second)

        assert [found.id for found in made] == api.created
        assert unknown[0].candidates == ()

    async def test_two_lost_creates_of_one_name_by_two_clients_are_candidates(self, server, api):
        """C14: one has made a server, and nobody knows which."""
        server.answer("POST", "/servers/", [api.committed(lambda _: drop()), drop()])
        unknown = []

        async def create():
            async with client_over(server, StillClock(), timeout=0.9) as client:
                with pytest.raises(OutcomeUnknownError, match="another client of this program") as caught:
                    await client.servers.create(**SPEC)
                unknown.append([found.id for found in caught.value.candidates])

        async with anyio.create_task_group() as group:
            group.start_soon(create)
            group.start_soon(create)

        assert unknown == [api.created, api.created]

    async def test_what_a_listing_has_shown_counts_where_the_next_one_lacks_it(self, server, api):
        """C2: a replica that lags is no reason to take the one server that it shows, or to say that there is none."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        def twins(number):
            if number == 0:
                api.add_like(SPEC)
            elif number == 1:
                api.servers.popitem()
            else:
                api.servers.clear()

        api.before_list = twins
        clock = VirtualClock()
        async with client_over(server, clock) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.servers.create(**SPEC)

        assert len(caught.value.candidates) == 2
        assert "not found" not in str(caught.value)

    async def test_two_clients_are_two(self, server, api):
        """C14: what one has returned, the other cannot know; both searches end."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        outcomes = []

        async def create(name):
            async with client_over(server, StillClock(), timeout=0.9) as client:
                try:
                    outcomes.append((await client.servers.create(**{**SPEC, "name": name})).name)
                except OutcomeUnknownError as error:
                    outcomes.append([candidate.name for candidate in error.candidates])

        async with anyio.create_task_group() as group:
            for name in ("a", "b", "c"):
                group.start_soon(create, name)

        assert sorted(outcomes) == ["a", "b", "c"]


class TestClocks:
    async def lost(self, server, api, **options):
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        async with client_over(server, StillClock(), timeout=0.9) as client:
            server.answer("GET", "/servers/1000/", json(200, detail(1000), {"Date": date_of(ITS_CLOCK)}))
            if options.get("heard", True):
                await client.servers.get(1000)
            try:
                return await client.servers.create(**SPEC)
            except OutcomeUnknownError as error:
                return error

    async def listing_with(self, server, api, headers, **changes):
        plain = api.page

        def changed(request):
            for shown in api.servers.values():
                shown.update(changes)
            reply = plain(request)
            return json(200, page(*api.servers.values()), {**api.headers, **headers}) if headers else reply

        server.answer("GET", "/servers/", changed)
        return await self.lost(server, api)

    async def test_a_listing_from_a_cache_proves_nothing(self, server, api):
        """C10: its `Date` is older than the response."""
        error = await self.listing_with(server, api, {"Age": "40"})

        assert [server.id for server in error.candidates] == api.created
        assert "the listing came from a cache" in str(error)

    async def test_a_clock_that_is_not_that_of_other_answers_proves_nothing(self, server, api):
        """C10: 90 s behind what this client's other answers said; the server would be too old by them."""
        behind = ITS_CLOCK - dt.timedelta(seconds=90)
        error = await self.listing_with(
            server, api, {"Date": date_of(behind)}, created_at=f"{behind:%Y-%m-%dT%H:%M:%SZ}"
        )

        assert [server.id for server in error.candidates] == api.created
        assert "differs from that of other responses by 90 s" in str(error)

    async def test_a_clock_that_nothing_vouches_for_must_be_this_machine_s(self, server, api):
        """C10: a minute and a half off, by a client that has heard nothing else."""
        behind = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=90)

        def listing(_request):
            for shown in api.servers.values():
                shown["created_at"] = f"{behind:%Y-%m-%dT%H:%M:%SZ}"
            return json(200, page(*api.servers.values()), {"Date": date_of(behind)})

        server.answer("GET", "/servers/", listing)
        error = await self.lost(server, api, heard=False)

        assert [server.id for server in error.candidates] == api.created
        assert "the API's clock differs from this machine's by 9" in str(error)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"created_at": f"{ITS_CLOCK:%Y-%m-%dT%H:%M:%S}"}, "its created_at names no time zone"),
            (
                {"created_at": f"{ITS_CLOCK:%Y-%m-%dT%H:%M:%S}", "id": None, "uuid": 1},
                "its created_at names no time zone",
            ),
            ({"created_at": f"{ITS_CLOCK - dt.timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}"}, "s too early"),
            ({"created_at": f"{ITS_CLOCK + dt.timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}"}, "later than the listing"),
        ],
        ids=["no zone", "no zone and no id", "a minute before", "a minute later"],
    )
    async def test_a_server_whose_age_does_not_fit_is_a_candidate_and_no_more(self, server, api, changes, words):
        """C10: what speaks against it is said."""
        error = await self.listing_with(server, api, {}, **changes)

        assert [server.id for server in error.candidates] == api.created
        assert words in str(error)


class TestSpellings:
    @pytest.mark.parametrize("hostname", ["Web02.Example.com", "web02.example.com.", "WEB02.EXAMPLE.COM."])
    async def test_a_hostname_is_compared_as_dns_does(self, server, api, hostname):
        """C11: case and a last dot do not matter."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        api.before_list = lambda _: [one.update(hostname="web02.example.com") for one in api.servers.values()]

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC, hostname=hostname)

        assert [made.id] == api.created

    @pytest.mark.parametrize(
        ("changes", "words"),
        [({"name": "WEB-02"}, "its name is 'WEB-02'"), ({"location": "US-WEST"}, "its location is 'US-WEST'")],
    )
    async def test_another_spelling_is_a_candidate_that_says_what_speaks_against_it(self, server, api, changes, words):
        """C11: never "not found"."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        api.before_list = lambda _: [one.update(changes) for one in api.servers.values()]

        async with client_over(server, StillClock(), timeout=0.9) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.servers.create(**SPEC)

        assert [server.id for server in caught.value.candidates] == api.created
        assert words in str(caught.value)
        assert "not found" not in str(caught.value)


def on_posts(hook):
    async def only(response):
        if response.request.method == "POST":
            await hook(response)

    return only


def date_of(when):
    return format_datetime(when, usegmt=True)


@pytest.mark.parametrize(
    ("item", "zoneless"),
    [
        ({"created_at": "2025-01-01T00:00:00"}, True),
        ({"created_at": "2025-01-01T00:00:00Z"}, False),
        ({"created_at": "2025-01-01T00:00:00+02:00"}, False),
        ({"created_at": "yesterday"}, False),
        ({"created_at": 5}, False),
        ({}, False),
        ("no object", False),
    ],
)
def test_a_time_without_a_zone_is_told_from_one_that_has_one(item, zoneless):
    assert names_no_zone(item) is zoneless
