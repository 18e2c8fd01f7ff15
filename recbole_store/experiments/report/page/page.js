"use strict";
// Draws the charts in the page's colours. Every figure in them stands in a table as well.
(() => {
  const charts = [...document.querySelectorAll(".chart")];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    return { text: of("--text"), quiet: of("--quiet"), line: of("--line"), paper: of("--paper") };
  }

  // What all charts share; a figure's own settings go before it.
  function layout(own) {
    const c = colours();
    const axis = { gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, fixedrange: true };
    const font = { color: c.quiet, size: 12, family: getComputedStyle(document.body).fontFamily };
    const shared = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font,
      margin: { l: 56, r: 12, t: 12, b: 44 },
      hoverlabel: { bgcolor: c.paper, bordercolor: c.quiet, font: { color: c.text, size: 13 } },
      hovermode: "closest", dragmode: false,
    };
    const merged = { ...shared, ...own };
    for (const name of ["xaxis", "yaxis"]) merged[name] = { ...axis, ...own[name] };
    return merged;
  }

  function draw(div) {
    const spec = JSON.parse(document.getElementById(`${div.id}-data`).textContent);
    const config = { displayModeBar: false, responsive: true };
    return Plotly.react(div, spec.data, layout(spec.layout), config);
  }

  function toggle(button) {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const div of button.closest(".charts").querySelectorAll(".chart")) {
      const traces = div.data.flatMap((t, n) => (t.name === button.dataset.label ? [n] : []));
      if (traces.length) Plotly.restyle(div, { visible: shown }, traces);
    }
  }

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => toggle(button));
  }
  dark.addEventListener("change", () => {
    for (const div of charts) if (div.data) Plotly.relayout(div, layout(div.layout));
  });

  // One after the other, so that the page can be read and scrolled meanwhile.
  (function next([div, ...rest]) {
    if (!div) return document.documentElement.setAttribute("data-charts", "drawn");
    draw(div).then(() => setTimeout(() => next(rest), 0));
  })(charts);
})();
