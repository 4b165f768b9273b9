// Asks what stands behind the forecast and draws it: from where the model starts, group by group, to the mean of any step.

const TRIES = 30;
const STARTS = {
  base: "its base, the mean of what it was trained on",
  "the last reading": "the last reading; its base is the mean change that it was trained on",
  "the usual day": "the usual day, smoothed over the last weeks; its base is the mean deviation that it was trained on",
};
const SIGN = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3, signDisplay: "negative" });
const CHANGE = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3, signDisplay: "exceptZero" });
const kw = (value) => SIGN.format(value).replace("-", "\u2212");
const change = (value) => CHANGE.format(value).replace("-", "\u2212");

export async function explain(section, steps) {
  const told = section.querySelector("[role=status]");
  told.textContent = "Being worked out\u2026";
  const said = await ask(section.dataset.url).catch(() => ({ detail: "The service did not answer" }));
  section.removeAttribute("aria-busy");
  const other = said.starts && (said.version !== section.dataset.version || said.starts[0].slice(0, 16) !== steps[0].start);
  if (other) {
    told.textContent = "There is a newer forecast: reload the page.";
  } else if (!said.groups || said.reason) {
    told.textContent = sentence(said.reason || said.hint || said.detail);
  } else {
    const groups = Object.entries(said.groups);
    told.textContent = `The model starts from ${STARTS[groups[0][0]]}. What it knows of this day moves the forecast up or down.`;
    section.append(...drawn(groups, steps));
    section.setAttribute("data-drawn", "");
  }
}

async function ask(url) {
  for (let left = TRIES; left; left -= 1) {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    const said = await response.json();
    if (response.status !== 202) return said;
    // Another forecast is being taken apart.
    await new Promise((again) => setTimeout(again, said.wait_s * 1000));
  }
  return { detail: "The service is busy: reload the page in a moment" };
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

function made(kind, attributes, ...inside) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

function drawn(groups, steps) {
  const highest = steps.reduce((best, step, number) => (step.mean > steps[best].mean ? number : best), 0);
  const options = [
    made("option", { value: highest }, `highest: ${steps[highest].label}`),
    made("option", { value: "" }, `the mean of all ${steps.length} steps`),
    ...steps.map((step, number) => made("option", { value: number }, step.label)),
  ];
  const choice = made("select", { id: "why-step" }, ...options);
  const body = made("tbody", {});
  const table = made("table", { class: "parts" });
  const heads = ["From", "", "kW"].map((name) => made("th", { scope: "col" }, name));
  heads[1] = made("td", { "aria-hidden": "true" });
  const fill = () => {
    const chosen = choice.value === "" ? steps : [steps[Number(choice.value)]];
    const parts = groups.map(([name, values]) => [name, mean(chosen.map((step) => values[steps.indexOf(step)]))]);
    table.setAttribute("aria-label", `What makes up the forecast, ${choice.selectedOptions[0].textContent}`);
    body.replaceChildren(...rows(parts));
  };
  choice.addEventListener("change", fill);
  fill();
  const pick = made("p", { class: "pick" }, made("label", { for: "why-step" }, "For"), choice);
  table.append(made("thead", {}, made("tr", {}, ...heads)), body);
  return [pick, table];
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// Every bar starts where the one before ended; the scale holds what they reach, zero only where they reach it.
function rows([[start, begins], ...moves]) {
  let at = begins;
  const levels = [at, ...moves.map(([, value]) => (at += value))];
  const lowest = Math.min(...levels);
  const width = Math.max(...levels) - lowest || 1;
  const place = (level) => (100 * (level - lowest)) / width;
  return [
    row(start, kw(begins), bar("mark", place(begins), 0)),
    ...moves.map(([name, value], number) => {
      const [left, right] = [place(levels[number]), place(levels[number + 1])].sort((a, b) => a - b);
      return row(name, change(value), bar(value < 0 ? "down" : "up", left, right - left));
    }),
    row("in all", kw(at), bar("mark", place(at), 0), "all"),
  ];
}

function bar(kind, left, width) {
  const drawing = made("span", { class: `part ${kind}` });
  // Through the CSSOM, for the content policy forbids a style attribute.
  drawing.style.insetInlineStart = `${left}%`;
  if (kind !== "mark") drawing.style.inlineSize = `${width}%`;
  return made("span", { class: "track" }, drawing);
}

function row(name, value, drawing, kind = "") {
  const title = name[0].toUpperCase() + name.slice(1);
  return made("tr", { class: kind }, made("th", { scope: "row" }, title), made("td", { "aria-hidden": "true" }, drawing), made("td", {}, value));
}
