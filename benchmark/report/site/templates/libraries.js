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

  window.libraries = {
    vega: () => load("library-vega").then(() => window.vegaEmbed),
    tables: () => load("library-tables").then((module) => module.default),
  };

  // The second frame begins when the first has been painted. A page in the background paints none.
  const painted = new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
    setTimeout(resolve, 1000);
  });
  painted.then(window.libraries.tables).then((DataTable) => {
    window.DataTable = DataTable;
    document.dispatchEvent(new Event("libraries-ready"));
    // Whoever prints must find it loaded, though no chart has come near the screen yet.
    (window.requestIdleCallback ?? setTimeout)(window.libraries.vega);
  });
})();
