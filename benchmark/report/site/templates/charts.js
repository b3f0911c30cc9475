"use strict";
(() => {
  const NARROW = matchMedia("(max-width: 40rem)");
  const SAVED_WIDTH_PX = 720;
  const SAVED_SCALE = 3;
  // A picture that is saved is dark on white, whatever the page is.
  const ON_PAPER = { fg: "#1b1b1b", muted: "#555555", line: "#dddddd", bg: "#ffffff" };
  // Vega writes these words into the SVG, so that a change of the theme redraws nothing.
  const ON_PAGE = {
    fg: "var(--fg)", muted: "var(--muted)", line: "var(--line)", bg: "var(--panel)",
  };

  const figures = new Set();
  let queue = Promise.resolve();

  /** How Vega draws what carries no data. */
  function config(ink, legendBelow) {
    const label = { labelColor: ink.fg, labelFontSize: 12, titleColor: ink.fg, titleFontSize: 12,
                    titleFontWeight: "normal" };
    return {
      aria: false, // the figure is described as a whole
      background: ink === ON_PAPER ? ink.bg : null,
      font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null },
      title: { color: ink.fg, subtitleColor: ink.muted, anchor: "start", fontSize: 14,
               subtitleFontSize: 11, offset: 12 },
      axis: { ...label, gridColor: ink.line, domainColor: ink.muted, tickColor: ink.muted,
              labelPadding: 4, titlePadding: 8 },
      legend: { ...label, labelLimit: 260, symbolSize: 90,
                symbolBaseFillColor: ink.muted,
                ...(legendBelow ? { orient: "bottom", columns: 1 } : { orient: "right" }) },
      text: { color: ink.fg },
      style: {
        front: { color: ink.muted, strokeWidth: 1.4, strokeDash: [5, 3] },
        ring: { color: ink.fg, strokeWidth: 1.4 },
        interval: { color: ink.fg, strokeWidth: 1.2 },
        median: { color: ink.fg, thickness: 2 },
        rank: { color: ink.bg, strokeWidth: 1.8 },
        threshold: { color: ink.muted, strokeWidth: 1, strokeDash: [2, 4] },
        cell: { stroke: ink.bg, strokeWidth: 2 },
        empty: { color: ink.muted, strokeWidth: 1, strokeDash: [3, 3] },
      },
    };
  }

  const OPTIONS = { mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false };

  /** A specification as it is drawn here: without its title, which the figure has in words. */
  function onPage(spec) {
    const copy = structuredClone(spec);
    delete copy.title;
    lighten(copy);
    return copy;
  }

  /** Let the style sheet lighten the colours of rows, some of which are too dark on a dark page. */
  function lighten(node) {
    if (node === null || typeof node !== "object") return;
    for (const channel of [node.color, node.stroke]) {
      if (channel?.type !== "nominal") continue;
      channel.scale.range = channel.scale.range.map(
        (hex) => `color-mix(in srgb, ${hex}, #fff var(--chart-tint))`,
      );
    }
    Object.values(node).forEach(lighten);
  }

  async function embed(figure) {
    const { chart, canvas } = figure;
    try {
      const vegaEmbed = await window.libraries.vega();
      figure.result?.finalize();
      figure.result = await vegaEmbed(canvas, onPage(chart.spec), {
        ...OPTIONS, config: config(ON_PAGE, NARROW.matches),
        tooltip: { disableDefaultStyle: true },
      });
      canvas.querySelector("svg").setAttribute("aria-hidden", "true"); // the figure has its words
      canvas.classList.add("drawn");
      canvas.style.minHeight = "";
    } catch (error) {
      canvas.textContent = "This chart could not be drawn.";
      console.error(chart.id, error);
    }
  }

  function draw(figure) {
    figure.drawing ??= embed(figure);
    return figure.drawing;
  }

  /** Charts that scroll into view are drawn in turn, and the page answers in between. */
  function enqueue(figure) {
    queue = queue.then(() => new Promise((resolve) => setTimeout(resolve))).then(() => draw(figure));
  }

  /** Draw what was not drawn yet, to be printed, say; resolves when all is there. */
  window.drawCharts = () => Promise.all([...figures].map(draw));

  async function save(chart, kind) {
    const vegaEmbed = await window.libraries.vega();
    const stage = make("div", { class: "chart-stage", "aria-hidden": "true" });
    document.body.append(stage);
    try {
      const spec = { ...chart.spec, width: SAVED_WIDTH_PX, autosize: "pad", padding: 12 };
      const { view, finalize } = await vegaEmbed(stage, spec, {
        ...OPTIONS, config: config(ON_PAPER, false),
      });
      const url = await view.toImageURL(kind, kind === "png" ? SAVED_SCALE : 1);
      finalize();
      make("a", { href: url, download: `${chart.id}.${kind}` }).click();
    } finally {
      stage.remove();
    }
  }

  function saveButton(chart, kind, said) {
    const word = kind.toUpperCase();
    const label = `${word}: save “${chart.title}”`;
    const onclick = () => save(chart, kind).then(
      () => { said.textContent = ""; },
      (error) => { said.textContent = `${word} could not be saved: ${error.message}`; },
    );
    return make("button", { type: "button", "aria-label": label, onclick }, word);
  }

  function table({ caption, thresholds, rows }) {
    const heading = (scope, text) => make("th", { scope }, String(text));
    const head = make("tr", {}, heading("col", "Architecture"),
      ...thresholds.map((value) => heading("col", value)));
    const body = rows.map(({ id, runs, texts }) => make("tr", {},
      heading("row", runs > 1 ? `${id} (${runs} runs)` : id),
      ...texts.map((text) => make("td", {}, text))));
    // Takes the focus so that the arrow keys scroll it where it is wider than the screen.
    const box = { class: "chart-table", tabindex: "0", role: "region", "aria-label": caption };
    return [
      make("p", {}, `${caption}:`),
      make("div", box, make("table", { "aria-label": caption },
        make("thead", {}, head), make("tbody", {}, ...body))),
    ];
  }

  function build(chart) {
    const text = `chart-${chart.id}-text`;
    const canvas = make("div", {
      class: "chart-canvas", role: "img", "aria-label": chart.title, "aria-describedby": text,
    });
    canvas.style.minHeight = `${chart.spec.height + 60}px`;
    const said = make("span", { class: "chart-said", role: "status" });
    const node = make("figure", { class: "chart", id: `chart-${chart.id}` },
      make("figcaption", {}, make("strong", {}, chart.title),
        make("span", { class: "chart-save" }, "Save: ", saveButton(chart, "svg", said),
          saveButton(chart, "png", said)), said),
      canvas, make("p", { id: text }, chart.description));
    if (chart.table) node.append(...table(chart.table));
    return { chart, canvas, node, drawing: null, result: null };
  }

  /** Fill a `<div class="charts">`; a chart is drawn when it comes near the screen. */
  window.startCharts = (container, charts) => {
    const waiting = new Map();
    const observer = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        enqueue(waiting.get(target));
      }
    }, { rootMargin: "600px" });
    for (const figure of charts.map(build)) {
      figures.add(figure);
      waiting.set(figure.canvas, figure);
      container.append(figure.node);
      observer.observe(figure.canvas);
    }
  };

  // Legends stand beside a chart or below it.
  NARROW.addEventListener("change", () => {
    for (const figure of figures) {
      if (figure.drawing) figure.drawing = figure.drawing.then(() => embed(figure));
    }
  });
  addEventListener("beforeprint", window.drawCharts);
})();
