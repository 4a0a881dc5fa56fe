"use strict";
// The server closes the socket, with the reason, when the session ends. It is not opened again:
// whoever was logged out has to log in first.

const said = document.getElementById("said");
const line = document.getElementById("line");
const form = document.getElementById("say");
const text = document.getElementById("text");
const socket = new WebSocket(new URL("/chat/socket", location).href.replace(/^http/, "ws"));

const usable = (yes) => {
  for (const control of form.elements) control.disabled = !yes;
};

document.getElementById("chat").hidden = false;

socket.addEventListener("open", () => {
  line.textContent = "Connected.";
  usable(true);
  text.focus();
});

socket.addEventListener("message", (event) => {
  const { who, text } = JSON.parse(event.data);
  const item = said.appendChild(document.createElement("li"));
  item.appendChild(document.createElement("strong")).textContent = who;
  item.append(" ", text);
  item.scrollIntoView({ block: "nearest" });
});

socket.addEventListener("close", (event) => {
  usable(false);
  line.className = "problem";
  line.textContent = `Closed: ${event.reason || "the connection is lost."}`;
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(text.value);
  form.reset();
});
