"use strict";
// Rows and columns of a group's table. A cell is {value, text}: what it is sorted by, and what it says.
window.boardRows = (() => {
  const none = { value: null, text: "—" };
  const cell = (value, text) => ({ value: value ?? null, text });
  const escape = (text) => make("i", {}, String(text)).innerHTML;

  // --- ours ---------------------------------------------------------------------------------

  // Every number of a row under one choice of structure, phase and subgroup.
  const ours = (group, row, key) => {
    const failed = row.error !== undefined;
    const found = failed ? undefined : group.scores[row.id]?.[key];
    const [dice, low, high, iou, hd95, nsd, patients, cases] = found ?? [];
    const interval = low == null ? "" : ` [${fixed(low)}, ${fixed(high)}]`;
    return {
      row,
      name: cell(row.title, row.title),
      dice: found ? { ...cell(dice, fixed(dice) + interval), low, high } : cell(null, failed ? `— (${row.status})` : "—"),
      tier: cell(row.tier, row.tier == null ? "—" : String(row.tier)),
      rank: cell(row.rank, row.ranks ?? "—"),
      best: row.best ? cell(...row.best) : none,
      iou: cell(iou, fixed(iou)),
      hd95: cell(hd95, fixed(hd95, 1)),
      nsd: cell(nsd, fixed(nsd)),
      clinical: row.clinical ? cell(row.clinical.worst, row.clinical.text) : none,
      patients: found ? cell(patients, `${patients} (${cases})`) : none,
      source: cell(null, row.external ? "predicted elsewhere, scored by this benchmark" : "this benchmark"),
      ...Object.fromEntries(group.columns.map(({ id }) => [id, row.costs?.[id] ? cell(...row.costs[id]) : none])),
    };
  };

  // --- published ----------------------------------------------------------------------------

  const PRINTED = { dice: ["dice", "Dice"], iou: ["iou", "IoU"], hd95_mm: ["hd95", "HD95"] };

  // As many decimals as the source gives, after per cent have become a fraction.
  const asPrinted = ({ value, printed, unit, metric }) => {
    const decimals = (String(printed).split(".")[1] ?? "").length;
    return fixed(value, decimals + (unit === "%" && metric !== "hd95_mm" ? 2 : 0));
  };

  const comparable = (group) => (group.literature ?? []).filter((one) => one.metric in PRINTED);

  // Published results on what is chosen: nothing of ours, hence without rank and cost.
  const published = (group, structure, phase, subgroup) => {
    const found = new Map();
    for (const one of comparable(group)) {
      if (subgroup !== "all" || one.what !== structure || (one.phase || "all") !== phase) continue;
      const id = `${one.method} ${one.citation}`;
      if (!found.has(id)) {
        const empty = columns(group).map(({ data }) => [data, none]);
        found.set(id, { ...Object.fromEntries(empty),
          row: { title: one.method, literature: one, printed: [] },
          name: cell(one.method, one.method),
          source: cell(null, `published: ${one.citation}`) });
      }
      const [column, word] = PRINTED[one.metric];
      found.get(id)[column] = cell(one.value, asPrinted(one));
      found.get(id).row.printed.push(`${word} ${one.printed} ${one.unit}`.trim());
    }
    return [...found.values()];
  };

  // --- columns ------------------------------------------------------------------------------

  const column = (id, title, options = {}) => ({
    title, data: id, name: id, className: "dt-right", type: "known-first", orderSequence: ["asc", "desc"],
    render: (content, type) => (type === "sort" || type === "type" ? content.value : escape(content.text)),
    ...options,
  });

  const BEST_FIRST = { orderSequence: ["desc", "asc"] };

  const nameCell = (group) => (content, type, { row }) => {
    const note = row.literature ? "published" : row.status === "ok" ? "" : row.status;
    if (type === "export") return note && !row.literature ? `${content.text} (${note})` : content.text;
    if (type !== "display") return content.text;
    const colour = row.literature ? "var(--guest)" : group.names.find((one) => one.id === row.id)?.colour;
    const button = make("button", { type: "button", class: "more", "aria-expanded": "false" },
      dot(colour ?? "var(--muted)"), content.text);
    const tag = note ? make("span", { class: row.literature ? "tag guest" : "tag" }, note) : null;
    return make("div", {}, button, " ", tag).innerHTML;
  };

  // Below the number, its interval on the scale that all rows share.
  const diceCell = (content, type) => {
    if (type === "sort" || type === "type") return content.value;
    if (type !== "display") return content.text;
    const text = `<span class="dice">${escape(content.text)}</span>`;
    if (!content.range) return text;
    const [first, last] = content.range;
    const percent = (length) => `${((100 * length) / (last - first || 1)).toFixed(1)}%`;
    return `${text}<span class="bar" aria-hidden="true">` +
      `<span style="left:${percent(content.low - first)};right:${percent(last - content.high)}"></span>` +
      `<i style="left:${percent(content.value - first)}"></i></span>`;
  };

  const columns = (group) => [
    column("name", "Architecture", { render: nameCell(group), className: "dt-left" }),
    // Beside the name: on a phone it is what is seen of a row.
    column("dice", "Dice [95 %]", { render: diceCell, ...BEST_FIRST }),
    column("tier", "Tier"),
    column("rank", "Rank"),
    column("best", "P(best)", BEST_FIRST),
    column("iou", "IoU", BEST_FIRST),
    column("hd95", "HD95 (mm)"),
    column("nsd", "NSD", BEST_FIRST),
    ...(group.clinical ? [column("clinical", group.clinical)] : []),
    ...group.columns.map((one) => column(one.id, one.title)),
    column("patients", "Patients (cases)", BEST_FIRST),
    // For those who take the table elsewhere, where colours and tags are gone.
    column("source", "Source", { visible: false, searchable: false }),
  ];

  const rows = (group, [structure, phase, subgroup], withPublished) => {
    const found = group.rows.map((row) => ours(group, row, `${structure}|${phase}|${subgroup}`));
    const dice = found.map((cells) => cells.dice).filter((one) => one.low != null);
    const range = [Math.min(...dice.map((one) => one.low)), Math.max(...dice.map((one) => one.high))];
    for (const one of dice) one.range = range;
    return withPublished ? [...found, ...published(group, structure, phase, subgroup)] : found;
  };

  // Rows without a value stand last in both directions, in the order in which they came.
  const knownFirst = (sign) => (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  };
  const order = { "known-first-asc": knownFirst(1), "known-first-desc": knownFirst(-1) };

  return { rows, columns, comparable, order };
})();
