"use strict";
// The data of the page, its theme, and a few words that every part uses.
window.PAGE = JSON.parse(document.getElementById("page").textContent);

// make("td", {class: "right", onclick: act}, "text", child, …): an element with its attributes,
// listeners and children. What is null or undefined is left out.
window.make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
};

// A number as it is printed everywhere; a dash where there is none.
window.fixed = (value, digits = 3) => (value == null ? "—" : value.toFixed(digits));

// The colour of a row, lightened on a dark page like the marks of its charts.
window.dot = (colour) => make("span", {
  class: "dot", "aria-hidden": "true",
  style: `background:color-mix(in srgb, ${colour}, #fff var(--chart-tint))`,
});

(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  let chosen = false;

  const show = (theme) => {
    root.dataset.theme = theme;
    root.classList.toggle("dark", theme === "dark"); // what DataTables goes by
    button.setAttribute("aria-pressed", String(theme === "dark"));
  };

  button.addEventListener("click", () => {
    chosen = true;
    show(root.dataset.theme === "dark" ? "light" : "dark");
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    if (!chosen) show(event.matches ? "dark" : "light");
  });
  show(root.dataset.theme);

  const part = (name, start) => {
    for (const container of document.querySelectorAll(`.${name}`)) {
      const group = window.PAGE.groups.find((one) => one.slug === container.dataset.group);
      try {
        start(container, group);
      } catch (error) { // one part that fails leaves the others standing
        container.replaceChildren(make("p", { class: "banner" }, "This part could not be shown."));
        console.error(error);
      }
    }
  };
  document.addEventListener("libraries-ready", () => part("board", window.startBoard));
  // The libraries are parsed when the page stands; what needs none of them begins at once.
  document.addEventListener("DOMContentLoaded", () => {
    part("charts", (container, group) => window.startCharts(container, (group || window.PAGE.across).charts));
    part("cases", window.startCases);
  });
})();
