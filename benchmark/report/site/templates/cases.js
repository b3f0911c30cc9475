"use strict";
// The case browser of a group: every test case by its scores, worst first, and a viewer of one.
(() => {
  const AT_ONCE = 100; // lines of the list; more on request

  function startCases(container, group) {
    const part = group.cases;
    const rows = group.names.filter((name) => part.dice[name.id]);
    const overall = part.case.map((_, i) => {
      const known = rows.map((row) => part.dice[row.id].mean[i]).filter((v) => v != null);
      return known.length ? known.reduce((a, b) => a + b) / known.length : null;
    });
    const traits = Object.values(part.traits);
    const state = { sort: "", down: false, shown: AT_ONCE, open: null };
    const viewer = window.caseViewer(group, part, { // of cases_viewer.js
      step: (by) => step(by),
      closed: () => {
        state.open = null;
        list();
        (body.querySelector("[data-last]") ?? search).focus(); // a search may have left the case out
      },
    });
    let order = []; // of the cases listed

    const value = (sort) => (i) =>
      sort === "case" ? part.case[i] : sort === "" ? overall[i] : part.dice[sort].mean[i];
    const heads = [
      ["case", "Case"], ...traits.map((trait) => [null, trait.title]),
      ["", "Mean Dice"], ...rows.map((row) => [row.id, row.title, row.colour]),
    ].map(([sort, title, colour]) =>
      make("th", { scope: "col", "data-sort": sort },
        sort === null ? title : make("button", { type: "button", onclick: () => resort(sort) },
          colour ? dot(colour) : null, title)));
    const body = make("tbody");
    const more = make("button", { type: "button", class: "cases-more",
      onclick: () => { state.shown += AT_ONCE; list(); } });
    const count = make("p", { class: "cases-count", "aria-live": "polite" });
    const search = make("input", { type: "search", autocomplete: "off", oninput: () => refilter() });
    const filters = traits.map(({ title, values }) => {
      const select = make("select", { onchange: () => refilter() }, make("option", { value: "" }, "all"),
        ...[...new Set(values)].filter(Boolean).sort().map((one) => make("option", {}, one)));
      return { title, values, select };
    });

    function resort(sort) {
      state.down = sort === state.sort && !state.down;
      state.sort = sort;
      list();
    }

    function refilter() {
      state.shown = AT_ONCE;
      list();
    }

    function list() {
      const text = search.value.trim().toLowerCase();
      const key = value(state.sort);
      order = part.case.map((_, i) => i).filter((i) =>
        (part.case[i].toLowerCase().includes(text) || part.patient[i].toLowerCase().includes(text))
        && filters.every(({ values, select }) => !select.value || values[i] === select.value));
      order.sort((i, j) => {
        const [a, b] = [key(i), key(j)];
        if (a == null || b == null) return (a == null) - (b == null);
        return (a < b ? -1 : a > b ? 1 : 0) * (state.down ? -1 : 1);
      });
      for (const head of heads) {
        const active = head.dataset.sort === state.sort;
        if (active) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
      body.replaceChildren(...order.slice(0, state.shown).map(line));
      count.textContent = `${order.length} of ${part.case.length} cases`;
      more.hidden = order.length <= state.shown;
      more.textContent = `Show ${Math.min(AT_ONCE, order.length - state.shown)} more`;
      viewer.neighbours(neighbour(-1) != null, neighbour(1) != null);
    }

    function line(i) {
      const current = i === state.open;
      const name = part.pictures[i]
        ? make("button", { type: "button", "data-last": i === state.last, onclick: () => open(i) },
            part.case[i])
        : part.case[i];
      const cell = (v, sort) => make("td", { class: sort === state.sort ? "cases-by" : null }, fixed(v));
      return make("tr", { "aria-current": current ? "true" : null },
        make("th", { scope: "row" }, name),
        ...traits.map(({ values }) => make("td", {}, values[i])),
        cell(overall[i], ""), ...rows.map((row) => cell(part.dice[row.id].mean[i], row.id)));
    }

    function neighbour(by) {
      let at = order.indexOf(state.open);
      if (at < 0) return null;
      do at += by; while (at in order && !part.pictures[order[at]]);
      return order[at] ?? null;
    }

    function step(by) {
      const i = neighbour(by);
      if (i != null) open(i, false);
    }

    function open(i, focus = true) {
      state.open = state.last = i;
      list();
      viewer.show(i, focus);
    }

    container.replaceChildren(
      ...(group.phantom
        ? [make("p", { class: "cases-phantom" }, "PHANTOM: synthetic hearts, not patients")] : []),
      make("div", { class: "cases-tools" },
        make("label", {}, "Search ", search),
        ...filters.map(({ title, select }) => make("label", {}, `${title} `, select)),
        count),
      ...(part.pictures.some(Boolean) ? [] : [make("p", { class: "cases-note" },
        "Scores only: no pictures of these cases lie beside this page. A publication has none, and "
        + "neither have runs whose folders hold no slices.")]),
      make("div", { class: "cases-scroll", tabindex: 0, role: "region",
        "aria-label": `Test cases of ${group.title}` },
        make("table", {},
          make("caption", { class: "sr" },
            `Dice of the test cases of ${group.title}, worst first; buttons of columns sort by them`),
          make("thead", {}, make("tr", {}, ...heads)), body)),
      more, viewer.element);
    list();
  }

  window.startCases = startCases;
})();
