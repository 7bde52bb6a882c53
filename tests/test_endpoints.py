"""The endpoints as data: what may be done with each call whose response is lost."""

from __future__ import annotations

from vpsorg_async import ServerSpec
from vpsorg_async import _endpoints as endpoints
from vpsorg_async._request.call import RetrySafety


class TestRepeatClasses:
    def test_each_endpoint_has_the_class_that_its_effect_allows(self):
        spec = ServerSpec(name="a", plan_id=1, os_id=1, location="x")
        calls = {
            "list": endpoints.list_page({}),
            "create": endpoints.create(spec),
            "get": endpoints.get(7),
            "replace": endpoints.replace(7, name="a", hostname=None, backups_enabled=False),
            "update": endpoints.update(7, name="a", hostname=None, backups_enabled=False),
            "delete": endpoints.delete(7),
            **{name: endpoints.command(7, name) for name in ("start", "stop", "reboot")},
        }

        assert {name: call.retry_safety for name, call in calls.items()} == {
            "list": RetrySafety.SAFE,
            "create": RetrySafety.RECONCILE,
            "get": RetrySafety.SAFE,
            "replace": RetrySafety.IDEMPOTENT,
            "update": RetrySafety.IDEMPOTENT,
            "delete": RetrySafety.IDEMPOTENT,
            "start": RetrySafety.STATE_CHECKED,
            "stop": RetrySafety.STATE_CHECKED,
            "reboot": RetrySafety.RECONCILE,
        }
