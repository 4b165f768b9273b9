"use strict";
// Draws the day-ahead chart from the page's own data; without it the table below says the same.
(() => {
  const chart = document.getElementById("chart");
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const why = document.getElementById("why");
  if (why) {
    why.hidden = false;
    // What it takes to explain is asked for when somebody is about to see it.
    const watch = new IntersectionObserver((seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      import("./why.js").then((module) => module.explain(why, data.steps)).catch(() => { why.hidden = true; });
    }, { rootMargin: "200px" });
    watch.observe(why);
  }

  if (!window.Plotly) {
    chart.remove();
    document.getElementById("values").open = true;
    return;
  }

  const steps = data.steps;
  // Every value holds for its whole hour: the last one is drawn to its end.
  const times = [...steps.map((step) => step.start), data.end];
  const held = (values) => [...values, values[values.length - 1]];
  // No bold here: Plotly would write a style attribute, which the content policy forbids.
  const within = (step) => data.interval ? ` (${step.low.toFixed(2)} to ${step.high.toFixed(2)})` : "";
  const said = steps.map((step) => `${step.label}<br>${step.mean.toFixed(2)} kW${within(step)}`);

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function traces() {
    const edge = { mode: "lines", line: { width: 0, shape: "hv" }, x: times, hoverinfo: "skip" };
    const band = [
      { ...edge, y: held(steps.map((step) => step.low)), showlegend: false },
      { ...edge, y: held(steps.map((step) => step.high)), name: data.interval, fill: "tonexty", fillcolor: color("--band") },
    ];
    return [
      ...(data.interval ? band : []),
      { mode: "lines", name: "Forecast", x: times, y: held(steps.map((step) => step.mean)), hovertemplate: "%{text}<extra></extra>",
        text: held(said), line: { color: color("--accent"), width: 2.5, shape: "hv" } },
      { mode: "lines", name: "Measured before", x: data.measured.map((row) => row[0]), y: data.measured.map((row) => row[1]),
        hovertemplate: "%{x|%-d %b %H:%M}<br>%{y:.2f} kW measured<extra></extra>",
        line: { color: color("--muted"), width: 1.5, shape: "hv" } },
    ];
  }

  function layout() {
    const narrow = chart.clientWidth < 560;
    const axis = { fixedrange: true, gridcolor: color("--line"), linecolor: color("--line"), zerolinecolor: color("--line") };
    return {
      margin: { l: narrow ? 34 : 60, r: 8, t: 8, b: 44 },
      height: narrow ? 300 : 380,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("--text") },
      hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--text") } },
      hovermode: "x",
      dragmode: false,
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      xaxis: { ...axis, type: "date", nticks: narrow ? 4 : 9, tickformat: "%H:%M\n%-d %b" },
      yaxis: { ...axis, rangemode: "tozero", ticksuffix: narrow ? "" : " kW" },
    };
  }

  const draw = () => Plotly.react(chart, traces(), layout(), { displayModeBar: false, responsive: true });
  draw().then(() => chart.setAttribute("data-drawn", ""));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
