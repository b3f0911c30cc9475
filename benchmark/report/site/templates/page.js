"use strict";
// The data of the page, its theme, and a few words that every part uses.
window.PAGE = JSON.parse(document.getElementById("page").textContent);

// make("td", {class: "right"}, "text", child, …): an element with attributes and children.
window.make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");

  const show = (theme) => {
    root.dataset.theme = theme;
    root.classList.toggle("dark", theme === "dark"); // what DataTables goes by
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${theme === "dark" ? "light" : "dark"} colours`);
    button.setAttribute("aria-pressed", String(theme === "dark"));
    document.dispatchEvent(new CustomEvent("themechange", { detail: theme }));
  };

  button.addEventListener("click", () => show(root.dataset.theme === "dark" ? "light" : "dark"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    show(event.matches ? "dark" : "light");
  });
  show(root.dataset.theme);

  const part = (name, start) => {
    for (const container of document.querySelectorAll(`.${name}`)) {
      const group = window.PAGE.groups.find((one) => one.slug === container.dataset.group);
      start(container, group);
    }
  };
  document.addEventListener("libraries-ready", () => part("board", window.startBoard));
  // The libraries are parsed when the page stands; what needs none of them begins at once.
  document.addEventListener("DOMContentLoaded", () => {
    part("charts", (container, group) => window.startCharts(container, (group || window.PAGE.across).charts));
    part("cases", (container, group) => window.startCases(container, group, window.PAGE));
  });
})();
