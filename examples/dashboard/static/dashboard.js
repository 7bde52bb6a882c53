// Shows the servers as the stream of events tells of them. htmx does the rest.
"use strict";

const part = (id) => document.getElementById(id);
const rows = new Map();
// What can be done in which status; the API decides.
const POSSIBLE = { start: ["stopped"], stop: ["active"], reboot: ["active"] };

function say(id, text) {
  part(id).textContent = text;
  part(id).hidden = !text;
}

function fill(row, server) {
  const set = (selector, text) => (row.querySelector(selector).textContent = text ?? "");
  row.dataset.id = server.id;
  row.dataset.status = server.status;
  row.querySelector("input").value = server.id;
  row.querySelector("input").setAttribute("aria-label", `Select ${server.name}`);
  set("strong", server.name);
  set("small", server.id);
  set(".badge", server.status);
  row.querySelector(".badge").className = `badge ${/^[a-z]+$/.test(server.status) ? server.status : ""}`;
  set(".address", server.ip_address);
  set(".location", server.location);
  set(".plan", server.plan?.name);
  for (const button of row.querySelectorAll("button")) {
    const action = button.value.split(" ")[0];
    button.value = `${action} ${server.id}`;
    button.setAttribute("aria-label", `${button.textContent} ${server.name}`);
    button.disabled = action in POSSIBLE && !POSSIBLE[action].includes(server.status);
    if (action === "delete") button.dataset.confirm = `Delete ${server.name} for ever?`;
  }
}

function show(server) {
  let row = rows.get(server.id);
  if (!row) {
    row = part("row").content.firstElementChild.cloneNode(true);
    rows.set(server.id, row);
    part("servers").append(row);
  }
  row.classList.remove("unconfirmed");
  fill(row, server);
}

function remove(id) {
  rows.get(id)?.remove();
  rows.delete(id);
}

// All servers are known: the rows that were not told of are gone.
function confirmed() {
  for (const [id, row] of rows) if (row.classList.contains("unconfirmed")) remove(id);
  part("none").textContent = "There is no server.";
  say("lost", "");
  count();
}

function count() {
  const all = [...rows.values()];
  const boxes = all.map((row) => row.querySelector("input"));
  const selected = boxes.filter((box) => box.checked).length;
  const active = all.filter((row) => row.dataset.status === "active").length;
  part("summary").textContent = `${all.length} in all, ${active} active`;
  part("selected").textContent = selected ? `${selected} selected` : "None selected";
  part("all").checked = selected > 0 && selected === all.length;
  for (const button of document.querySelectorAll(".bar button")) button.disabled = !selected;
  part("none").hidden = all.length > 0;
}

const events = new EventSource("/events");
const LOST = "The connection to the dashboard is lost. It is tried again.";
// The reason why the last stream ended, if it gave one.
let problem = "";
events.addEventListener("open", () => {
  problem = "";
  // A new stream tells of every server anew. Until it does, the rows are from before.
  for (const row of rows.values()) row.classList.add("unconfirmed");
});
events.addEventListener("error", () => say("lost", problem || LOST));
events.addEventListener("synced", confirmed);
events.addEventListener("problem", (event) => (problem = JSON.parse(event.data).detail));
for (const kind of ["appeared", "changed", "gone"])
  events.addEventListener(kind, (event) => {
    const { before, after } = JSON.parse(event.data);
    if (after) show(after);
    else remove(before.id);
    say("lost", "");
    count();
  });

part("all").addEventListener("change", (event) => {
  for (const row of rows.values()) row.querySelector("input").checked = event.target.checked;
  count();
});
part("servers").addEventListener("change", count);
document.addEventListener("click", (event) => {
  const question = event.target.dataset?.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// A refusal is a JSON object with a sentence in it.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.requestConfig.verb === "post") say("refused", "");
});
document.addEventListener("htmx:responseError", (event) => {
  let detail;
  try {
    detail = JSON.parse(event.detail.xhr.responseText).detail;
  } catch {}
  say("refused", typeof detail === "string" ? detail : "The dashboard could not do that.");
});
document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.requestConfig.verb === "post")
    say("refused", "The dashboard did not answer. Look at the servers before you try again.");
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { elt, requestConfig, successful } = event.detail;
  if (!successful || requestConfig.verb !== "post" || elt !== part("fleet")) return;
  for (const row of rows.values()) row.querySelector("input").checked = false;
  count();
});
count();
