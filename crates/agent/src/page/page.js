// Progress, without which the page works all the same.
"use strict";

const update = document.getElementById("update");

async function look() {
  let seen;
  try {
    const answer = await fetch("/status.json", { redirect: "error" });
    if (!answer.ok) return;
    seen = await answer.json();
  } catch {
    document.title = "The terminal does not answer";
    return;
  }
  const why = seen.waiting || seen.trouble || "";
  const shown = document.getElementById("why");
  const moved = seen.phase !== update.dataset.phase;
  if (moved || (shown && update.dataset.why !== undefined && update.dataset.why !== why)) {
    location.replace("/");
    return;
  }
  update.dataset.why = why;
  const bar = document.getElementById("progress");
  if (bar && seen.total > 0) {
    const share = Math.floor((Math.min(seen.done, seen.total) * 100) / seen.total);
    bar.value = share;
    document.getElementById("share").textContent = `${share} %`;
  }
}

// Whoever is filling in a form is not interrupted.
const busy = () => document.querySelector("details[open]") || document.body.dataset.sending;

if (update) setInterval(() => busy() || look(), 2000);

const upload = document.getElementById("upload");
if (upload) {
  upload.addEventListener("submit", (event) => {
    event.preventDefault();
    const bar = document.getElementById("sent");
    const text = document.getElementById("sending");
    const button = upload.querySelector("button");
    const request = new XMLHttpRequest();
    const failed = () => {
      delete document.body.dataset.sending;
      button.disabled = false;
      text.textContent = "The upload was cut short. Nothing was changed; try again.";
    };
    bar.hidden = text.hidden = false;
    button.disabled = true;
    document.body.dataset.sending = "yes";
    request.upload.addEventListener("progress", (sent) => {
      const share = sent.total ? Math.floor((sent.loaded * 100) / sent.total) : 0;
      bar.value = share;
      text.textContent = `${share} % sent`;
    });
    request.addEventListener("load", () => {
      if (request.status === 200 && request.responseURL.endsWith("?uploaded")) {
        location.replace("/?uploaded");
        return;
      }
      failed();
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const note = page.querySelector(".note.bad");
      if (note) text.textContent = note.textContent;
    });
    request.addEventListener("error", failed);
    request.addEventListener("abort", failed);
    request.open("POST", upload.action);
    request.send(new FormData(upload));
  });
}
