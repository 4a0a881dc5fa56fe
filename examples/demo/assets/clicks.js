"use strict";
// The form works without this. With it, the button sends ten requests at once instead of one.

const form = document.querySelector("#clicks form");
const count = document.querySelector("#click-count");
const result = document.querySelector("#click-result");
let busy = false;

async function read() {
  const response = await fetch("/clicks");
  if (!response.ok) throw new Error(`status ${response.status}`);
  return Number(await response.text());
}

async function click() {
  const body = new URLSearchParams({ times: 1 });
  // The answer to a click is a redirect, for browsers without JavaScript; it need not be followed.
  const response = await fetch("/clicks", { method: "POST", body, redirect: "manual" });
  if (response.type !== "opaqueredirect") throw new Error(`status ${response.status}`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  busy = true;
  result.value = "Sending …";
  try {
    const before = await read();
    await Promise.all(Array.from({ length: 10 }, click));
    const after = await read();
    count.textContent = after;
    result.value = `10 sent at once, ${after - before} counted.`;
  } catch {
    result.value = "The shop did not answer all of them. Please try again.";
  } finally {
    busy = false;
  }
});
