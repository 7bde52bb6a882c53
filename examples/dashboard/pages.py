"""The HTML. Every text that comes from elsewhere goes through `escape`."""

from __future__ import annotations

from html import escape

from vpsorg_async import OperatingSystem, Outcome, Plan

from .choices import Catalogue
from .runs import KeptRun, Runs
from .sentences import sentence


PROBLEMS_SHOWN = 10
"""A run shows at most so many of its problems."""


def page(of_app: Runs) -> str:
    """Return the page, with the runs as they are now."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="htmx-config" content='{{"includeIndicatorStyles": false, "allowEval": false, "selfRequestsOnly": true}}'>
<title>Servers</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/dashboard.css">
<script src="/static/htmx.min.js" defer></script>
<script src="/static/dashboard.js" defer></script>
</head>
<body>
<header><h1>Servers</h1><p id="summary" role="status"></p></header>
<p id="lost" class="warning" role="alert" hidden></p>
<p id="refused" class="warning" role="alert" hidden></p>
{runs(of_app)}
<details id="new"><summary>Create servers</summary>
<div hx-get="/create" hx-trigger="load">Loading the choices…</div>
</details>
<form id="fleet" hx-post="/runs" hx-target="#runs" hx-swap="outerHTML">
<div class="bar">
<span id="selected">None selected</span>
<button name="action" value="start">Start</button>
<button name="action" value="stop">Stop</button>
<button name="action" value="reboot">Reboot</button>
<button name="action" value="delete" class="danger" data-confirm="Delete the selected servers for ever?">Delete</button>
</div>
<table>
<thead><tr><th><input type="checkbox" id="all" aria-label="Select all servers"></th><th>Name</th><th>Status</th>
<th>Address</th><th>Location</th><th>Plan</th><th aria-label="Actions"></th></tr></thead>
<tbody id="servers"></tbody>
</table>
<p id="none">No server is known yet.</p>
</form>
<template id="row"><tr><td><input type="checkbox" name="server"></td>
<td class="name"><strong></strong><small></small></td><td class="status"><span class="badge"></span></td>
<td class="address"></td><td class="location"></td><td class="plan"></td>
<td class="actions"><button name="one" value="start">Start</button><button name="one" value="stop">Stop</button
><button name="one" value="reboot">Reboot</button
><button name="one" value="delete" class="danger">Delete</button></td></tr></template>
</body>
</html>
"""


def runs(of_app: Runs, *, restarted: bool = False) -> str:
    """Return the section of the runs, which asks for itself each second."""
    told = (
        '<p class="warning">The dashboard was restarted. It no longer follows the work that was under way before; '
        "the table below shows what the API says.</p>"
        if restarted
        else ""
    )
    each = "".join(_run(kept) for kept in of_app.newest_first())
    return (
        f'<section id="runs" aria-live="polite" hx-get="/runs?seen={of_app.version}" hx-trigger="every 1s" '
        f'hx-swap="outerHTML">{told}{each}</section>'
    )


def _run(kept: KeptRun) -> str:
    now = kept.progress
    ended = now.succeeded + now.failed + now.pending + now.unknown + now.skipped
    title = f"{kept.action.capitalize()} {_servers(now.total)}"
    counts = [
        (now.succeeded, "done"),
        (0 if kept.over else now.begun - (ended - now.skipped), "under way"),
        (now.failed, "failed"),
        (now.pending + now.unknown, "not known"),
        (now.skipped, "not begun"),
    ]
    told = ", ".join(f"{count} {word}" for count, word in counts if count) or "Waiting for the API"
    failure = f'<p class="reason">{escape(kept.failure)}</p>' if kept.failure else ""
    return (
        f'<article class="run" data-run="{kept.id}" data-over="{str(kept.over).lower()}"><h2>{escape(title)}</h2>'
        f'<progress max="{now.total}" value="{now.total if kept.over else ended}" '
        f'aria-label="{escape(title)}"></progress>'
        f"<p>{told}</p>{failure}{_problems(kept.problems)}</article>"
    )


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"


def _problems(outcomes: list[Outcome]) -> str:
    if not outcomes:
        return ""
    shown = "".join(f"<li>{escape(_problem(outcome))}</li>" for outcome in outcomes[:PROBLEMS_SHOWN])
    more = len(outcomes) - PROBLEMS_SHOWN
    return f'<ul class="reason">{shown}{f"<li>And {more} more.</li>" if more > 0 else ""}</ul>'


def _problem(outcome: Outcome) -> str:
    thing = outcome.server or outcome.item
    assert outcome.error is not None
    return f"{getattr(thing, 'name', None) or f'Server {thing}'}: {sentence(outcome.error)}"


def create_form(catalogue: Catalogue) -> str:
    """Return the form that creates servers."""
    locations = "".join(
        _option(place.code, f"{place.name}, {place.country_name}", enabled=place.is_active is not False)
        for place in catalogue.locations
    )
    systems = "".join(_system(system) for system in catalogue.systems)
    first = next((place.code for place in catalogue.locations if place.is_active is not False), None)
    return f"""<form hx-post="/create" hx-target="#runs" hx-swap="outerHTML">
<label>Name <input name="name" required pattern="[A-Za-z0-9\\-]+" title="Letters, digits and hyphens"></label>
<label>Number <input name="count" type="number" min="1" max="50" value="1" required></label>
<label>Location <select name="location" hx-get="/plans" hx-target="#plan" hx-swap="innerHTML">
{locations}</select></label>
<label>Plan <select name="plan_id" id="plan">{plan_options(catalogue, first or "")}</select></label>
<label>System <select name="os_id">{systems}</select></label>
<button>Create</button>
</form>"""


def plan_options(catalogue: Catalogue, location: str) -> str:
    """Return the plans that are to be had at *location*; the others cannot be chosen."""
    return "".join(_option(plan.id, _plan(plan), enabled=_offered(plan, location)) for plan in catalogue.plans)


def _offered(plan: Plan, location: str) -> bool:
    return plan.available is not False and (plan.locations is None or location in plan.locations)


def _plan(plan: Plan) -> str:
    amounts = [
        f"{plan.vcpus} vCPU" if plan.vcpus else "",
        f"{plan.memory / 1024:g} GB memory" if plan.memory else "",
        f"{plan.storage} GB disk" if plan.storage else "",
    ]
    price = "price not known" if plan.price_monthly is None else f"{plan.price_monthly:.2f} a month"
    return f"{plan.name}: {', '.join(filter(None, amounts))} ({price})"


def _system(system: OperatingSystem) -> str:
    if not system.versions:
        return _option(system.id, str(system.name))
    inside = "".join(_option(version.id, str(version.name)) for version in system.versions)
    return f'<optgroup label="{escape(str(system.name))}">{inside}</optgroup>'


def _option(value: object, text: str, *, enabled: bool = True) -> str:
    return f'<option value="{escape(str(value))}"{"" if enabled else " disabled"}>{escape(text)}</option>'
