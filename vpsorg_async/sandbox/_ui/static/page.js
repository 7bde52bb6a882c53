// Loads the page again each second, and replaces the parts that have changed.
"use strict";

const EVERY = 1000; // milliseconds
const lost = document.getElementById("lost");

async function refresh() {
  const response = await fetch(document.baseURI, { cache: "no-store" });
  if (!response.ok) {
    throw new Error(`answered ${response.status}`);
  }
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("#summary, section")) {
    const now = fresh.getElementById(part.id);
    // A part that has not changed is kept, so that a selection in it is kept too.
    if (part.innerHTML !== now.innerHTML) {
      part.replaceWith(document.adoptNode(now));
    }
  }
}

async function again() {
  try {
    if (!document.hidden) {
      await refresh();
      lost.hidden = true;
    }
  } catch (error) {
    lost.textContent = `The sandbox does not answer (${error.message}). This is what it last showed.`;
    lost.hidden = false;
  }
  setTimeout(again, EVERY);
}

setTimeout(again, EVERY);
