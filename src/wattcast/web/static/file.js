"use strict";
// Makes the area around the file's field a place to drop it, and says what was chosen; without it the field alone does.
(() => {
  const form = document.getElementById("file-form");
  const drop = document.getElementById("drop");
  const input = document.getElementById("file");
  const chosen = document.getElementById("chosen");
  const button = form.querySelector("button");
  const words = button.textContent;

  const size = (bytes) => bytes < 1024 * 1024 ? `${Math.max(Math.round(bytes / 1024), 1)} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;

  function tell() {
    const file = input.files[0];
    const large = file && file.size > Number(input.dataset.largest);
    input.setCustomValidity(large ? `This file has ${size(file.size)}; ${input.dataset.said} are the most that is taken. Send it as a zip or gz.` : "");
    chosen.textContent = file ? `${file.name}, ${size(file.size)}` : "";
    if (large) input.reportValidity();
  }

  const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
  drop.classList.add("ready");
  input.addEventListener("change", tell);
  for (const kind of ["dragenter", "dragover"]) {
    // The whole window, for a file dropped beside the area would replace the page.
    addEventListener(kind, (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      drop.classList.toggle("over", drop.contains(event.target));
    });
  }
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    if (!drop.contains(event.target) || !event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    tell();
  });

  form.addEventListener("submit", () => {
    button.disabled = true;
    button.textContent = "Reading the file …";
  });
  addEventListener("pageshow", () => {
    button.disabled = false;
    button.textContent = words;
    tell();
  });
})();
