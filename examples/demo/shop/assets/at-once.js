"use strict";
// The form works without this. With it, the button sends fifty requests at once instead of one.

const form = document.getElementById("at-once");
const button = form.querySelector("button");
const count = document.getElementById("count");
const result = document.getElementById("result");
const ports = form.dataset.ports.split(" ");
const fifty = Number(button.value);

// The same path on the node at this port. Its name is the one by which this page was opened, for
// which the browser has the cookie.
const at = (port, path) => {
  const url = new URL(path, location);
  url.port = port;
  return url;
};

const read = async () => {
  const answer = await fetch("/at-once/count");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
};

const add = async (port) => {
  const body = new URLSearchParams({ _token: form.elements._token.value });
  const answer = await fetch(at(port, "/at-once/one"), { method: "POST", body, credentials: "include" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  result.value = "Sending …";
  try {
    const before = await read();
    const sent = Array.from({ length: fifty }, (_, number) => add(ports[number % ports.length]));
    const answers = await Promise.all(sent);
    const after = await read();
    count.textContent = after;
    const different = new Set(answers.map((answer) => answer.count)).size;
    const shares = ports.map((_, node) => answers.filter((answer) => answer.node === node + 1).length);
    const nodes = ports.length > 1 ? ` by ${ports.length} nodes (${shares.join(", ")})` : "";
    result.value = `${fifty} sent at once, ${after - before} counted${nodes}, each saw a number of its own: `
      + (different === fifty ? "yes." : `no, only ${different} did.`);
  } catch {
    result.value = "The shop did not answer all of them. Please reload the page and try again.";
  } finally {
    button.disabled = false;
  }
});
