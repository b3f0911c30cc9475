"use strict";
(() => {
  const loaded = new Map();

  /** Run the module that lies in the page as text, once; resolves to its exports. */
  function load(key) {
    if (!loaded.has(key)) {
      const text = JSON.parse(document.getElementById(key).textContent);
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      loaded.set(key, import(url).finally(() => URL.revokeObjectURL(url)));
    }
    return loaded.get(key);
  }

  /** Say in the place of each table or chart where else its numbers are. */
  function missing(what, selector, error) {
    const file = (name) => make("a", { href: name }, name);
    for (const container of document.querySelectorAll(selector)) {
      container.replaceChildren(make("p", { class: "banner", role: "alert" },
        `This browser could not load what shows ${what} (${error.message}). The numbers are in `,
        file("leaderboard.md"), " and ", file("leaderboard.csv"), "; other tables and figures are listed under ",
        make("a", { href: "#files" }, "Files"), "."));
    }
  }

  window.libraries = {
    vega: () => load("library-vega").then(() => window.vegaEmbed),
    tables: () => load("library-tables").then((module) => module.default),
  };

  // The second frame begins when the first has been painted. A page in the background paints none.
  const painted = new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
    setTimeout(resolve, 1000);
  });
  painted
    .then(window.libraries.tables)
    .then(
      (DataTable) => {
        window.DataTable = DataTable;
        document.dispatchEvent(new Event("libraries-ready"));
      },
      (error) => missing("tables", ".board", error),
    )
    // Whoever prints must find it loaded, though no chart has come near the screen yet.
    .then(() => (window.requestIdleCallback ?? setTimeout)(
      () => window.libraries.vega().catch((error) => missing("charts", ".charts", error)),
    ));
})();
