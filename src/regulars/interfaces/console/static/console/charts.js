// Draws every chart on the page. Specifications are data: expressions run through Vega's interpreter, never through eval.
for (const place of document.querySelectorAll("[data-spec]")) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const quiet = { labelColor: colour("--muted"), domainColor: colour("--border"), gridColor: colour("--border"), tickColor: colour("--border") };
  window.vegaEmbed(place, JSON.parse(place.dataset.spec), {
    ast: true, actions: false, defaultStyle: false, tooltip: false, renderer: "canvas",
    config: { background: null, font: "system-ui, sans-serif", axis: quiet, view: { stroke: null }, bar: { color: colour("--mark-blue") } },
  }).catch((fault) => { place.textContent = "This chart cannot be drawn here; its table is below."; console.error(fault); });
}
