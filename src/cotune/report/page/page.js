"use strict";
// Draws the charts of the page. Numbers come from #charts, colours from the style sheet,
// so that light, dark and print need no second copy of either.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const paper = matchMedia("print");
  const PAPER_WIDTH = 680;
  let printing = false;

  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star"];

  function readPalette() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    const names = ["text", "soft", "line", "grid", "card", "low", "high", "zero", "minus", "reference"];
    const found = Object.fromEntries(names.map((name) => [name, get(`--${name}`)]));
    return { ...found, series: get("--series").split(/\s+/) };
  }

  // Keep both ends of a long name: the end is what tells tasks apart.
  function shorten(label, most) {
    const plain = String(label);
    if (plain.length <= most) return plain;
    const tail = Math.ceil((most - 1) / 2);
    return `${plain.slice(0, most - 1 - tail)}…${plain.slice(-tail)}`;
  }

  function unescape(label) {
    return label.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  }

  function escape(label) {
    return label.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function fit(label, most) {
    return escape(shorten(unescape(label), most));
  }

  function paint(trace, place, style, palette, narrow) {
    const color = palette.series[place % palette.series.length];
    if (style === "map") {
      const two = trace.scale === "two-sided";
      const { scale, ...rest } = trace;
      const colorscale = two
        ? [[0, palette.minus], [0.5, palette.zero], [1, palette.high]]
        : [[0, palette.low], [1, palette.high]];
      const colorbar = { ...trace.colorbar, outlinewidth: 0, tickfont: { size: 11 } };
      if (narrow) {
        Object.assign(colorbar, { orientation: "h", y: 1, yanchor: "bottom", len: 1 });
        colorbar.title = { ...colorbar.title, side: "top" };
      }
      const textfont = { color: palette.text };
      return { ...rest, colorscale, colorbar, textfont, xgap: 1, ygap: 1, ...(two ? { zmid: 0 } : {}) };
    }
    const name = fit(trace.name, narrow ? 30 : 60);
    if (style === "bars") {
      const error_x = trace.error_x && { ...trace.error_x, color: palette.text, thickness: 1.5 };
      const fill = trace.meta === "reference" ? palette.reference : color;
      return { ...trace, name, error_x, marker: { color: fill } };
    }
    const dash = DASHES[place % DASHES.length];
    const symbol = SYMBOLS[place % SYMBOLS.length];
    return { ...trace, name, line: { color, dash, width: 2 }, marker: { color, symbol, size: 6 } };
  }

  function dress(axis, names, palette, most, isBelow) {
    const shown = {
      automargin: true, gridcolor: palette.grid, zerolinecolor: palette.line,
      linecolor: palette.line, tickfont: { size: 12 }, ...axis,
    };
    if (axis.type === "category") {
      const all = [...new Set(names)];
      Object.assign(shown, { tickvals: all, ticktext: all.map((name) => fit(name, most)) });
      const upright = all.length < 3 || all.every((name) => name.length < 9);
      if (isBelow) shown.tickangle = upright ? 0 : -90;
    }
    return shown;
  }

  function build(chart, width, palette) {
    const narrow = width < 520;
    const most = narrow ? 14 : 32;
    const traces = chart.traces.map((t, i) => paint(t, i, chart.style, palette, narrow));
    const xs = chart.traces.flatMap((t) => t.x);
    const ys = chart.traces.flatMap((t) => t.y);
    const many = chart.traces.length > 1;
    const layout = {
      ...chart.layout,
      xaxis: dress(chart.layout.xaxis, xs, palette, most, true),
      yaxis: dress(chart.layout.yaxis, ys, palette, most, false),
      width, height: chart.height, autosize: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: palette.text },
      margin: { l: 8, r: 12, t: 12, b: 8 },
      showlegend: many && chart.style !== "map",
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1, yanchor: "bottom" },
      hoverlabel: { bgcolor: palette.card, font: { color: palette.text }, bordercolor: palette.line },
      dragmode: false,
    };
    return { traces, layout };
  }

  function draw(id) {
    const place = document.getElementById(id);
    // An empty plot takes no room without this script.
    place.style.display = "block";
    const width = printing ? PAPER_WIDTH : place.clientWidth;
    const { traces, layout } = build(charts[id], width, readPalette());
    return Plotly.react(place, traces, layout, {
      displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset",
    });
  }

  async function loadPlotly() {
    const packed = atob(document.getElementById("plotly").textContent);
    const bytes = Uint8Array.from(packed, (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    // Inline, so that it must be the one whose digest stands in the page's policy.
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  async function drawAll() {
    for (const id of Object.keys(charts)) await draw(id);
    document.documentElement.dataset.drawn = String(Object.keys(charts).length);
  }

  function redraw() {
    for (const id of Object.keys(charts)) draw(id);
  }

  if (!("DecompressionStream" in window)) {
    document.getElementById("old").hidden = false;
    return;
  }

  let waiting = 0;
  function later() {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 120);
  }

  // Nothing can be redrawn before Plotly is there.
  function listen() {
    let before = innerWidth;
    addEventListener("resize", () => {
      // Phones fire it for the address bar too.
      if (innerWidth === before || printing) return;
      before = innerWidth;
      later();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);

    function setPrinting(on) {
      if (printing === on) return;
      printing = on;
      // Paper cannot be opened with a click: short tables are printed, long ones are not.
      for (const details of document.querySelectorAll("details[data-few]")) {
        if (on) details.dataset.was = String(details.open);
        details.open = on || details.dataset.was === "true";
      }
      redraw();
    }
    addEventListener("beforeprint", () => setPrinting(true));
    addEventListener("afterprint", () => setPrinting(false));
    paper.addEventListener("change", (event) => setPrinting(event.matches));

    for (const button of document.querySelectorAll("button[data-save]")) {
      const id = button.dataset.save;
      button.hidden = false;
      button.addEventListener("click", () => {
        const place = document.getElementById(id);
        const { width, height } = place.getBoundingClientRect();
        Plotly.downloadImage(place, { format: "svg", width, height, filename: id });
      });
    }
  }

  loadPlotly().then(() => {
    listen();
    return drawAll();
  });
})();
