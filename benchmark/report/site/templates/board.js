"use strict";
// The table of a group: what a reader chooses changes its scores; a row opens to its runs.
window.startBoard = (() => {
  const TITLES = { structure: "Structure", phase: "Phase", subgroup: "Subgroup" };
  const WHOLE = "Tier, rank and P(best) are those of the mean over all cases.";

  const link = (address, text) => (address ? make("a", { href: address }, text) : null);

  // --- what is behind a row -----------------------------------------------------------------

  const copyButton = (commands) => {
    const said = make("span", { role: "status" });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(commands.textContent);
        said.textContent = " Copied.";
      } catch {
        // No clipboard on a page that came over plain http, or the reader refused it.
        getSelection().selectAllChildren(commands);
        said.textContent = " This browser does not let the page copy; the text is selected instead.";
      }
    };
    return [make("button", { type: "button", onclick: copy }, "Copy"), said];
  };

  const again = ({ commands, note }) => {
    const text = make("pre", { tabindex: "0" }, commands.join("\n"));
    return [
      ...(commands.length ? [make("p", {}, "To make this row again: ", ...copyButton(text)), text] : []),
      note ? make("p", {}, note) : null,
    ];
  };

  const outcomes = ({ scored, excluded, failed }) =>
    `Structures of all cases: ${scored} found and scored, ${failed} missed or invented (scored 0), ${excluded} absent from truth and prediction (no score).`;

  const HEADS = ["Fold", "Seed", "Status", "Dice", "Key", "Files", "Specification"];
  const runLine = (run) => make("tr", {},
    ...[run.fold ?? "—", run.seed ?? "—", run.status, fixed(run.dice)].map((text) => make("td", {}, String(text))),
    make("td", {}, make("code", {}, run.key)),
    make("td", {}, make("div", { class: "links" }, link(run.files.record, "record"), link(run.files.cases, "cases"),
      link(run.files.log, "log"), link(run.mlflow, "MLflow"))),
    make("td", {}, make("details", {}, make("summary", {}, "specification"),
      make("pre", { tabindex: "0" }, JSON.stringify(run.spec, null, 1)))));

  const behind = (row) => {
    if (row.literature) {
      const one = row.literature;
      return make("div", { class: "behind" },
        make("p", {}, `As printed: ${row.printed.join(", ")}. ${one.setting}. ${one.caveat || ""}`),
        make("p", {}, "Source: ", link(one.url, one.citation) ?? one.citation, ` (${one.read})`));
    }
    return make("div", { class: "behind" },
      row.error ? make("p", { class: "warn" }, `${row.status}: ${row.error}`) : null,
      row.clinical ? make("p", {}, `Clinical agreement: r = ${row.clinical.r}, n = ${row.clinical.patients} patients, ${row.clinical.failed} not measurable.`) : null,
      row.outcomes ? make("p", {}, outcomes(row.outcomes)) : null,
      ...again(row.reproduce),
      make("table", { class: "runs" },
        make("caption", { class: "sr" }, `Runs of ${row.title}`),
        make("thead", {}, make("tr", {}, ...HEADS.map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...row.runs.map(runLine))),
      row.runs.some((run) => run.mlflow)
        ? make("p", { class: "muted" }, "MLflow opens while its server runs: ", make("code", {}, "python -m benchmark ui")) : null);
  };

  // --- the table ----------------------------------------------------------------------------

  const choice = (group, name, changed) => {
    const id = `${group.slug}-${name}`;
    const select = make("select", { id, onchange: changed },
      ...group[`${name}s`].map((option) => make("option", { value: option.id }, option.title)));
    return { select, field: make("div", { class: "field" }, make("label", { for: id }, TITLES[name]), select) };
  };

  return (container, group) => {
    const { rows, columns, comparable, order } = window.boardRows; // of board_rows.js
    Object.assign(window.DataTable.ext.type.order, order);
    const status = make("p", { class: "muted small", "aria-live": "polite" });
    const controls = Object.keys(TITLES).map((name) => ({ name, ...choice(group, name, () => refresh()) }));
    const guests = make("input", { type: "checkbox", id: `${group.slug}-guests`, onchange: () => refresh() });
    guests.checked = true;
    const bar = make("div", { class: "controls" },
      ...controls.filter(({ name }) => group[`${name}s`].length > 1).map(({ field }) => field),
      comparable(group).length
        ? make("div", { class: "field check" }, guests, make("label", { for: guests.id }, "Published results beside ours")) : null);
    const table = make("table", { class: "display compact" },
      make("caption", { class: "sr" }, `Leaderboard of ${group.title}`));
    const wrap = make("div", { class: "wide", role: "region", tabindex: "0", "aria-label": `Leaderboard of ${group.title}, scrolls sideways` }, table);
    container.append(bar, wrap, status);

    const found = () => rows(group, controls.map(({ select }) => select.value), guests.checked);
    const words = () => controls.map(({ select }) => select.selectedOptions[0]?.textContent).filter(Boolean).join(", ");

    // A table that leaves the page says what it is of, in lines that readers of CSV take as comments.
    const headed = (text) => [
      group.phantom && "PHANTOM: synthetic hearts, not patients",
      group.title,
      group.subtitle,
      `Scores of: ${words()}`,
      group.mixed ? "Rows of several protocols: nothing is ranked." : WHOLE,
      board.search() && `Only rows that match: ${board.search()}`,
    ].filter(Boolean).map((line) => `# ${line}\n`).join("") + text;
    const file = `${group.phantom ? "PHANTOM " : ""}leaderboard_${group.slug}`;
    const taken = { customize: headed, title: null, messageTop: null, exportOptions: { orthogonal: "export" } };

    const board = new window.DataTable(table, {
      data: found(), columns: columns(group), paging: false, info: false, autoWidth: false,
      // An order by Dice would read as a ranking where nothing is ranked.
      order: group.mixed ? [] : { name: "rank", dir: "asc" }, orderDescReverse: false,
      layout: { topStart: null, topEnd: "search", bottomEnd: null, bottomStart: { buttons: [
        { extend: "copyHtml5", text: "Copy", ...taken },
        { extend: "csvHtml5", text: "CSV", filename: file, ...taken },
      ] } },
      language: { search: "Search", searchPlaceholder: "", emptyTable: "No rows" },
      createdRow: (line, { row }) => {
        line.classList.toggle("published", Boolean(row.literature));
        line.classList.toggle("failed", row.error !== undefined);
        line.classList.toggle("leader", row.tier === 1);
      },
    });
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button.more");
      if (!button) return;
      const row = board.row(button.closest("tr"));
      const open = row.child.isShown();
      if (open) row.child.hide();
      else row.child(behind(row.data().row)).show();
      button.setAttribute("aria-expanded", String(!open));
    });

    function refresh() {
      board.clear().rows.add(found()).draw();
      const whole = controls.every(({ select }) => select.selectedIndex <= 0);
      status.textContent = whole ? "" : `Scores of: ${words()}. ${group.mixed ? "" : WHOLE}`;
    }
  };
})();
