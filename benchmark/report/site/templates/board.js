"use strict";
// The table of a group: what a reader chooses changes its scores; a row opens to its runs.
window.startBoard = (() => {
  const LAST = Number.MAX_VALUE; // where rows without a number are sorted

  const fixed = (value, digits) => (value === null || value === undefined ? "—" : value.toFixed(digits));

  const choice = (slug, name, title, options, changed) => {
    const id = `${slug}-${name}`;
    const select = make("select", { id },
      ...options.map((option) => make("option", { value: option.id }, option.title)));
    select.addEventListener("change", changed);
    return { select, field: make("div", { class: "field" }, make("label", { for: id }, title), select) };
  };

  // What one choice makes of one row: numbers to sort by and texts to print.
  const scored = (group, row, key) => {
    const found = (group.scores[row.id] || {})[key];
    if (!found || row.error !== undefined) return null;
    const [dice, low, high, iou, hd95, nsd, patients, cases] = found;
    const interval = low === null ? "" : ` [${fixed(low, 3)}, ${fixed(high, 3)}]`;
    return { dice, low, high, text: fixed(dice, 3) + interval, iou, hd95, nsd, patients, cases };
  };

  const look = (group, id) => group.names.find((name) => name.id === id);

  const marker = (group, row) => {
    const name = look(group, row.id);
    const colour = row.literature ? "var(--guest)" : name ? name.colour : "var(--muted)";
    return `<span class="dot" style="background:color-mix(in srgb, ${colour}, #fff var(--chart-tint))" aria-hidden="true"></span>`;
  };

  const escape = (text) => make("i", {}, String(text)).innerHTML;

  const number = (value, text) => ({ value: value === null || value === undefined ? null : value, text });

  // One row as the table takes it: every column an object {value, text}.
  const cellsOf = (group, row, key) => {
    const score = scored(group, row, key);
    const failed = row.error !== undefined;
    const cells = { row, name: { value: row.title, text: row.title } };
    cells.tier = number(row.tier, row.tier === null || failed ? "—" : String(row.tier));
    // Rows of ours without a rank stand behind the ranked ones, and before what others published.
    cells.rank = { ...number(row.rank, failed ? "—" : row.ranks), unranked: failed ? LAST / 2 : LAST / 4 };
    cells.best = number(parseFloat((row.best || "").replace(/[<> ]/g, "")) || (row.best === "0.00" ? 0 : null), row.best || "—");
    cells.dice = score
      ? { value: score.dice, text: score.text, score }
      : number(null, failed ? `— (${row.status})` : "—");
    cells.iou = number(score && score.iou, fixed(score && score.iou, 3));
    cells.hd95 = number(score && score.hd95, fixed(score && score.hd95, 1));
    cells.nsd = number(score && score.nsd, fixed(score && score.nsd, 3));
    cells.patients = number(score && score.patients, score ? `${score.patients} (${score.cases})` : "—");
    cells.clinical = row.clinical ? number(row.clinical.worst, row.clinical.text) : number(null, "—");
    for (const column of group.columns) {
      const [value, text] = (row.costs || {})[column.id] || [null, "—"];
      cells[column.id] = number(value, text);
    }
    return cells;
  };

  // Published results on what is chosen: nothing of ours, hence without rank and cost.
  const DIGITS = { dice: 3, iou: 3, hd95: 1 };
  const METRICS = { dice: "Dice", iou: "IoU", hd95: "HD95" };
  const guests = (group, structure, phase, subgroup) => {
    const found = new Map();
    for (const one of group.literature || []) {
      const metric = { dice: "dice", iou: "iou", hd95_mm: "hd95" }[one.metric];
      if (!metric || subgroup !== "all" || one.what !== structure || (one.phase || "all") !== phase) continue;
      const id = `${one.method} ${one.citation}`;
      if (!found.has(id)) {
        const cells = { row: { id, title: one.method, literature: one, printed: [] }, name: { value: one.method, text: one.method } };
        for (const { data } of columns(group)) cells[data] ??= number(null, "—");
        found.set(id, cells);
      }
      found.get(id)[metric] = number(one.value, fixed(one.value, DIGITS[metric]));
      found.get(id).row.printed.push(`${METRICS[metric]} ${one.printed} ${one.unit}`.trim());
    }
    return [...found.values()];
  };

  const column = (id, title, options = {}) => ({
    title, data: id, name: id, className: "dt-right",
    render: (cell, type) =>
      type === "sort" || type === "type" ? (cell.value ?? cell.unranked ?? (options.least ? -LAST : LAST)) : escape(cell.text),
    ...options,
  });

  const diceCell = (cell, type) => {
    if (type === "sort" || type === "type") return cell.value === null ? -LAST : cell.value;
    if (type === "filter" || type === "export") return cell.text;
    if (!cell.score) return escape(cell.text);
    const { low, high, dice, range } = cell.score;
    const percent = (length) => `${((100 * length) / (range[1] - range[0] || 1)).toFixed(1)}%`;
    const bar = low === null ? "" :
      `<span class="bar" aria-hidden="true"><span style="left:${percent(low - range[0])};right:${percent(range[1] - high)}"></span>` +
      `<i style="left:${percent(dice - range[0])}"></i></span>`;
    return `<span class="dice">${escape(cell.text)}</span>${bar}`;
  };

  const nameCell = (group) => (cell, type, cells) => {
    if (type !== "display") return cell.value;
    const row = cells.row;
    const note = row.literature ? ' <span class="tag guest">published</span>'
      : row.error !== undefined ? ` <span class="tag">${escape(row.status)}</span>`
      : row.status !== "ok" ? ` <span class="tag">${escape(row.status)}</span>` : "";
    return `<button type="button" class="more" aria-expanded="false">${marker(group, row)}${escape(cell.text)}</button>${note}`;
  };

  const columns = (group) => [
    { title: "Architecture", data: "name", name: "name", render: nameCell(group), className: "dt-left" },
    // Beside the name: on a phone it is what is seen of a row.
    { title: "Dice [95 %]", data: "dice", name: "dice", render: diceCell, className: "dt-right" },
    column("tier", "Tier"),
    column("rank", "Rank"),
    column("best", "P(best)", { least: true }),
    column("iou", "IoU", { least: true }),
    column("hd95", "HD95 (mm)"),
    column("nsd", "NSD", { least: true }),
    ...(group.clinical ? [column("clinical", group.clinical)] : []),
    ...group.columns.map((one) => column(one.id, one.title)),
    column("patients", "Patients (cases)", { least: true }),
  ];

  const link = (address, text) => (address ? make("a", { href: address }, text) : null);

  const runLine = (run) => make("tr", {},
    make("td", {}, `${run.fold}`), make("td", {}, `${run.seed}`), make("td", {}, run.status),
    make("td", {}, fixed(run.dice, 3)), make("td", {}, make("code", {}, run.key)),
    make("td", { class: "links" }, link(run.files.record, "record"), link(run.files.cases, "cases"),
      link(run.files.log, "log"), link(run.mlflow, "MLflow")),
    make("td", {}, make("details", {}, make("summary", {}, "specification"),
      make("pre", { tabindex: "0" }, JSON.stringify(run.spec, null, 1)))));

  const details = (row) => {
    if (row.literature) {
      const one = row.literature;
      return make("div", { class: "behind" },
        make("p", {}, `As printed: ${row.printed.join(", ")}. ${one.setting}. ${one.caveat || ""}`),
        make("p", {}, "Source: ", link(one.url, one.citation) || one.citation, ` (${one.read})`));
    }
    const command = row.reproduce.join("\n");
    const copy = make("button", { type: "button" }, "Copy");
    copy.addEventListener("click", () => {
      navigator.clipboard.writeText(command).then(() => { copy.textContent = "Copied"; });
    });
    return make("div", { class: "behind" },
      row.error ? make("p", { class: "warn" }, `${row.status}: ${row.error}`) : null,
      row.clinical ? make("p", {}, `Clinical agreement: r = ${row.clinical.r}, n = ${row.clinical.patients} patients, ${row.clinical.failed} not measurable.`) : null,
      make("p", {}, "To make this row again: ", copy), make("pre", { tabindex: "0" }, command),
      make("table", { class: "runs" },
        make("caption", { class: "sr" }, `Runs of ${row.title}`),
        make("thead", {}, make("tr", {}, ...["Fold", "Seed", "Status", "Dice", "Key", "Files", "Specification"]
          .map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...row.runs.map(runLine))));
  };

  return (container, group) => {
    const status = make("p", { class: "muted small", "aria-live": "polite" });
    const controls = ["structure", "phase", "subgroup"].map((name) => {
      const options = group[`${name}s`];
      return { name, ...choice(group.slug, name, { structure: "Structure", phase: "Phase", subgroup: "Subgroup" }[name], options, () => refresh()) };
    });
    const guest = make("input", { type: "checkbox", id: `${group.slug}-guests`, checked: true });
    guest.addEventListener("change", () => refresh());
    const bar = make("div", { class: "controls" },
      ...controls.filter((one) => group[`${one.name}s`].length > 1).map((one) => one.field),
      (group.literature || []).length
        ? make("div", { class: "field check" }, guest, make("label", { for: guest.id }, "Published results beside ours")) : null);
    const table = make("table", { class: "display compact" },
      make("caption", { class: "sr" }, `Leaderboard of ${group.title}`));
    const wrap = make("div", { class: "wide", role: "region", tabindex: "0", "aria-label": `Leaderboard of ${group.title}, scrolls sideways` }, table);
    container.append(bar, wrap, status);

    const rows = () => {
      const chosen = controls.map((one) => one.select.value);
      const ours = group.rows.map((row) => cellsOf(group, row, chosen.join("|")));
      // The bars of a table share one scale, from the lowest end of its intervals to the highest.
      const known = ours.map((cells) => cells.dice.score).filter((score) => score && score.low !== null);
      const range = [Math.min(...known.map((score) => score.low)), Math.max(...known.map((score) => score.high))];
      for (const score of known) score.range = range;
      return [...ours, ...(guest.checked ? guests(group, ...chosen) : [])];
    };
    const phantom = group.phantom ? "PHANTOM " : "";
    const board = new window.DataTable(table, {
      data: rows(), columns: columns(group), order: [[3, "asc"], [1, "desc"]], paging: false, info: false, autoWidth: false,
      layout: { topStart: null, topEnd: "search", bottomStart: { buttons: [
        { extend: "copyHtml5", text: "Copy", title: `${phantom}${group.title}`, exportOptions: { orthogonal: "export" } },
        { extend: "csvHtml5", text: "CSV", title: `${phantom}leaderboard_${group.slug}`, exportOptions: { orthogonal: "export" } },
      ] }, bottomEnd: null },
      language: { search: "Search", searchPlaceholder: "" },
      createdRow: (line, cells) => {
        line.classList.toggle("published", Boolean(cells.row.literature));
        line.classList.toggle("failed", cells.row.error !== undefined);
        line.classList.toggle("leader", cells.row.tier === 1);
      },
    });
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button.more");
      if (!button) return;
      const row = board.row(button.closest("tr"));
      const open = row.child.isShown();
      if (open) row.child.hide();
      else row.child(details(row.data().row)).show();
      button.setAttribute("aria-expanded", String(!open));
    });

    function refresh() {
      board.clear().rows.add(rows()).draw();
      const whole = controls.every((one) => one.select.selectedIndex <= 0);
      const words = controls.map((one) => one.select.selectedOptions[0]?.textContent).filter(Boolean).join(", ");
      status.textContent = whole
        ? "" : `Scores of: ${words}. Tier, rank and P(best) remain those of the mean over all cases.`;
    }
  };
})();
