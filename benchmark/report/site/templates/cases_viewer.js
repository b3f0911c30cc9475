"use strict";
// The viewer of one case: its pictures are loaded on demand and dropped when another is shown.
(() => {
  const SLICE_MS = 250, PHASE_MS = 700, WHEEL_PX = 40, SAY_MS = 400;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  // --- files of pictures --------------------------------------------------------------------

  const waiting = new Map();
  window.showCase = (slug, name, content) => waiting.get(`${slug}/${name}`)?.(content);

  function load(slug, name) {
    const key = `${slug}/${name}`;
    const source = `cases/${encodeURIComponent(slug)}/${encodeURIComponent(name)}.js`;
    const script = document.createElement("script");
    return new Promise((resolve, reject) => {
      waiting.set(key, resolve);
      script.onload = () => reject(new Error(`${source} holds no pictures of ${name}.`));
      script.onerror = () => reject(new Error(`Expected ${source} beside this page, found none.`));
      script.src = source;
      document.head.append(script);
    })
      .finally(() => (waiting.delete(key), script.remove()))
      .then(unpacked);
  }

  async function unpacked(content) {
    const rows = content.rows.map(async (row) => ({
      ...row,
      prediction: row.prediction ? await inflate(row.prediction) : null,
    }));
    const [image, truth, ...done] = await Promise.all([
      inflate(content.image), inflate(content.truth), ...rows,
    ]);
    return { ...content, image, truth, rows: done };
  }

  async function inflate(text) {
    if (!window.DecompressionStream)
      throw new Error("This browser cannot unpack pictures: it lacks DecompressionStream.");
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // --- the viewer of one case ---------------------------------------------------------------

  // `report.step(by)` shows a neighbour in the list, `report.closed()` is told of the end.
  function makeViewer(group, part, report) {
    const { plane, frameOf, errorKinds, greyOf, paint } = window.casePaint; // of cases_paint.js
    // Of the case shown: `volumes` has it and, once wanted, its other phase; `side` tells which.
    let now = null, timer = null, saying = null, turned = 0;
    const title = make("h3", { tabindex: -1 });
    const about = make("p", { class: "cases-about" });
    const fault = make("p", { class: "cases-note", role: "alert" });
    const said = make("p", { class: "sr", "aria-live": "polite" });
    const button = (text, onclick) => make("button", { type: "button", onclick }, text);
    const previous = button("← Previous", () => report.step(-1));
    const next = button("Next →", () => report.step(1));
    const slider = make("input", { type: "range", min: 1, step: 1, oninput: () => { stop(); turn(slider.value - 1); } });
    const where = make("span", { class: "cases-where" }); // `said` announces it, once it rests
    const sliding = make("label", {}, "Slice ", slider, where);
    const playSlices = button("", () => play("slices"));
    const playPhases = button("", () => play("phases"));
    const other = button("", () => { stop(); flip(); });
    const tick = (text, checked, onchange) => {
      const input = make("input", { type: "checkbox", onchange });
      input.checked = checked;
      return [input, make("label", {}, input, ` ${text}`)];
    };
    const [showErrors, errorsTick] = tick("Errors", true, () => redraw());
    const [large, largeTick] = tick("Large", false, () => {
      panels.classList.toggle("cases-large", large.checked);
      redraw();
    });
    const panels = make("div", { class: "cases-panels", tabindex: 0, role: "group",
      "aria-label": "Pictures; arrow keys turn the slices", onkeydown: keys });
    const swatch = (style, text) => make("li", {}, make("span", { style, "aria-hidden": "true" }), text);
    const legend = make("ul", { class: "cases-legend", "aria-label": "Legend" },
      ...part.classes.map((one) => swatch(`border-top: 3px solid ${one.colour}`, one.words)),
      swatch("border-top: 2px dashed #999", "truth, beside a prediction"),
      ...Object.entries(part.errors).map(([name, colour]) => swatch(`background: ${colour}; height: .8em`, name)));
    const runs = new Map(group.rows.flatMap((row) => row.runs ?? []).map((run) => [run.key, run]));
    const tools = make("div", { class: "cases-tools", hidden: true },
      sliding, playSlices, playPhases, other, errorsTick, largeTick);
    const element = make("section", { class: "cases-viewer", hidden: true },
      group.phantom ? make("p", { class: "cases-phantom" }, "PHANTOM: synthetic hearts, not patients") : null,
      make("div", { class: "cases-head" }, title, previous, next, button("Close", close)),
      about, fault, tools, panels, legend, said);
    element.addEventListener("keydown", (event) => event.key === "Escape" && close());
    panels.addEventListener("wheel", wheel, { passive: false });
    const resized = new ResizeObserver(() => redraw());

    // The case of the other phase, if it has pictures.
    function partnerOf(i) {
      const [phase, view] = [part.traits.phase?.values, part.traits.view?.values];
      if (!phase) return -1;
      return part.case.findIndex((_, j) => part.pictures[j] && part.patient[j] === part.patient[i]
        && (!view || view[j] === view[i])
        && phase[i] + phase[j] in { EDES: 1, ESED: 1 });
    }

    async function show(i, focus) {
      stop();
      const mine = (now = { cases: [i], loads: [], volumes: [], side: 0, z: 0 });
      const partner = partnerOf(i);
      if (partner >= 0) now.cases.push(partner);
      element.hidden = false;
      element.setAttribute("aria-label", `Pictures of ${part.case[i]}`);
      fault.textContent = "";
      panels.setAttribute("aria-busy", "true"); // what is drawn is of another case
      name();
      if (focus) {
        title.focus({ preventScroll: true });
        element.scrollIntoView({ block: "start", behavior: still.matches ? "auto" : "smooth" });
      }
      if (!(await fetched(0)) || now !== mine) return;
      const volume = mine.volumes[0];
      build(volume);
      turn(volume.shown);
      tools.hidden = false;
      panels.removeAttribute("aria-busy");
      resized.observe(panels);
    }

    // Load a side of the case; whether it is there, and still wanted.
    async function fetched(side) {
      const mine = now;
      try {
        mine.loads[side] ??= load(group.slug, part.case[mine.cases[side]]);
        mine.volumes[side] = await mine.loads[side];
      } catch (error) {
        delete mine.loads[side]; // what failed may be asked for again
        if (now === mine) failed(side, error);
        return false;
      }
      if (now === mine) fault.textContent = "";
      return now === mine;
    }

    function failed(side, error) {
      stop();
      fault.textContent = error.message;
      if (side !== now.side) return label(); // what is shown stays
      panels.replaceChildren();
      panels.removeAttribute("aria-busy");
      tools.hidden = true;
    }

    function close() {
      stop();
      resized.disconnect();
      now = null; // and with it the arrays
      panels.replaceChildren();
      element.hidden = true;
      report.closed();
    }

    function name() {
      const i = now.cases[now.side];
      title.textContent = part.case[i];
      about.textContent = Object.values(part.traits).filter(({ values }) => values[i])
        .map(({ title, values }) => `${title} ${values[i]}`).join(" · ");
    }

    function build(volume) {
      const panel = (key, head) => make("figure", { "data-key": key },
        make("figcaption", {}, ...head), make("canvas", { role: "img" }), make("div"));
      panels.replaceChildren(panel("image", ["Image"]), panel("truth", ["Truth"]),
        ...volume.rows.map((row) => {
          const look = group.names.find((one) => one.id === row.id);
          return panel(row.id, [look ? dot(look.colour) : null, look?.title ?? row.id].filter(Boolean));
        }));
    }

    function turn(z) {
      const volume = now?.volumes[now.side];
      if (!volume) return;
      now.z = Math.min(Math.max(z, 0), volume.shape[0] - 1);
      slider.max = volume.shape[0];
      slider.value = now.z + 1;
      const text = volume.depth > 1 ? `slice ${volume.slices[now.z] + 1} of ${volume.depth}` : "";
      where.textContent = text && ` ${text.slice(6)}`;
      slider.setAttribute("aria-valuetext", text);
      sliding.hidden = playSlices.hidden = volume.shape[0] < 2;
      playPhases.hidden = other.hidden = now.cases.length < 2;
      label();
      redraw();
      clearTimeout(saying);
      if (!timer) saying = setTimeout(() => (said.textContent = summary(volume, text)), SAY_MS);
    }

    function phaseOf(side) {
      return part.traits.phase.values[now.cases[side]];
    }

    function label() {
      for (const [one, kind, text] of [[playSlices, "slices", "Slices"], [playPhases, "phases", "ED ↔ ES"]]) {
        one.textContent = timer?.kind === kind ? `❚❚ Stop` : `▶ ${text}`;
        one.setAttribute("aria-label", timer?.kind === kind ? "Stop" : `Play ${text.replace("↔", "and")}`);
        one.disabled = still.matches;
        one.title = still.matches ? "Animations are off, as this device asks for reduced motion" : "";
      }
      if (now.cases.length > 1) other.textContent = `Show ${phaseOf(1 - now.side)}`;
    }

    function summary(volume, text) {
      const seen = part.classes.filter((one) => plane(volume, volume.truth, now.z).includes(one.label));
      const scores = volume.rows.map((row) => `${row.id}: Dice of the case ${fixed(row.dice)}`);
      return [part.case[now.cases[now.side]], text,
        `truth shows ${seen.map((one) => one.words).join(", ") || "no structure"}`, ...scores]
        .filter(Boolean).join(". ");
    }

    function redraw() {
      const volume = now?.volumes[now.side];
      if (!volume) return;
      const frame = frameOf(now.volumes.filter(Boolean));
      const truth = plane(volume, volume.truth, now.z);
      const grey = greyOf(volume, now.z);
      const phase = now.cases.length > 1 ? ` ${phaseOf(now.side)}` : "";
      for (const figure of panels.children) {
        const [head, canvas, below] = figure.children;
        const { key } = figure.dataset;
        const row = volume.rows.find((one) => one.id === key);
        canvas.style.aspectRatio = `${frame.width} / ${frame.height}`;
        const shown = { frame, grey, classes: part.classes, errors: part.errors,
          showErrors: showErrors.checked };
        if (key !== "image") shown.truth = truth;
        if (row?.prediction) shown.prediction = plane(volume, row.prediction, now.z);
        const given = key === "image" || key === "truth";
        canvas.hidden = !given && !shown.prediction;
        const says = shown.prediction ? `: ${sizes(volume, shown)}` : "";
        canvas.setAttribute("aria-label", `${key}${phase}, slice ${volume.slices[now.z] + 1}${says}`);
        if (!canvas.hidden) paint(canvas, volume, shown);
        if (key === "image") head.textContent = `Image${phase}`;
        if (!given) below.replaceChildren(...caption(row));
      }
    }

    // Areas of the errors in a plane, for those who do not see them.
    function sizes(volume, { truth, prediction }) {
      const counts = [0, 0, 0, 0];
      for (const kind of errorKinds(truth, prediction)) counts[kind]++;
      const cm2 = (volume.spacing[1] * volume.spacing[2]) / 100;
      return Object.keys(part.errors)
        .map((name, k) => `${name} ${fixed(counts[k + 1] * cm2, 1)} cm²`).join(", ");
    }

    function caption(row) {
      if (!row) return ["no pictures of this phase"];
      const outside = row.outside >= 0.05
        ? make("p", { class: "cases-outside" },
            `${fixed(row.outside, 1)} ${row.unit} of the prediction lie beside this view`)
        : null;
      return [
        make("dl", {}, make("dt", {}, "Dice"), make("dd", {}, fixed(row.dice)),
          ...part.classes.flatMap((one) => [make("dt", {}, one.words), make("dd", {}, fixed(row.classes[one.name]))])),
        row.note ? make("p", {}, row.note) : null, outside,
        make("p", { class: "cases-run" }, ...runOf(row)),
      ].filter(Boolean);
    }

    // Which of the runs behind a row these pictures are of.
    function runOf(row) {
      const run = runs.get(row.run);
      const text = run?.fold == null ? "predicted elsewhere" : `fold ${run.fold}, seed ${run.seed}`;
      return run?.files.record ? [text, ", ", make("a", { href: run.files.record }, "record")] : [text];
    }

    async function flip() {
      const from = now?.volumes[now.side];
      if (!from) return;
      const side = 1 - now.side;
      if (!(await fetched(side)) || now.side === side) return;
      now.side = side;
      const to = now.volumes[now.side];
      // Both phases lie on one grid, but not every slice of it need be kept.
      const target = from.slices[now.z];
      const away = to.slices.map((slice) => Math.abs(slice - target));
      name();
      turn(away.indexOf(Math.min(...away)));
    }

    function play(kind) {
      if (!now?.volumes[now.side]) return; // the pictures are still on their way
      const again = timer?.kind !== kind;
      stop();
      if (again) {
        const beat = () => kind === "phases" ? flip() : turn((now.z + 1) % now.volumes[now.side].shape[0]);
        timer = { kind, id: setInterval(beat, kind === "phases" ? PHASE_MS : SLICE_MS) };
      }
      turn(now.z);
    }

    function stop() {
      clearTimeout(saying);
      clearInterval(timer?.id);
      timer = null;
    }

    function keys(event) {
      const volume = now?.volumes[now.side];
      // With a modifier keys are the browser's, and without slices they scroll the page.
      if (!volume || volume.shape[0] < 2 || event.altKey || event.ctrlKey || event.metaKey) return;
      const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
      const to = { Home: 0, End: Infinity }[event.key] ?? (by && now.z + by);
      if (to == null) return;
      event.preventDefault();
      stop();
      turn(to);
    }

    // The wheel turns slices once the viewer is in use; at the first and last it moves the page.
    function wheel(event) {
      const volume = now?.volumes[now.side];
      if (!volume || event.ctrlKey || !element.contains(document.activeElement)) return;
      const end = now.z + Math.sign(event.deltaY);
      if (end < 0 || end >= volume.shape[0]) return;
      event.preventDefault();
      turned += event.deltaMode ? Math.sign(event.deltaY) * WHEEL_PX : event.deltaY;
      if (Math.abs(turned) < WHEEL_PX) return;
      stop();
      turn(now.z + Math.sign(turned));
      turned = 0;
    }

    function neighbours(before, after) {
      // A disabled button would lose the focus that it has.
      previous.setAttribute("aria-disabled", String(!before));
      next.setAttribute("aria-disabled", String(!after));
    }

    return { element, show, neighbours };
  }

  window.caseViewer = makeViewer;
})();
