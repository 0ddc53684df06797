"use strict";
// The filter lives in the address, so that a filtered report can be passed on: report.html#q=layer4&level=error
const form = document.querySelector("form");
const articles = [...document.querySelectorAll("article")];

function show() {
  const words = form.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const article of articles) {
    const text = article.textContent.toLowerCase();
    article.hidden =
      !words.every((word) => text.includes(word)) ||
      (form.rule.value !== "" && article.dataset.rule !== form.rule.value) ||
      (form.level.value !== "" && article.dataset.level !== form.level.value);
    shown += article.hidden ? 0 : 1;
  }
  for (const section of document.querySelectorAll("section[data-rule]")) {
    section.hidden = !section.querySelector("article:not([hidden])");
  }
  document.querySelector("output").value = shown === articles.length ? "" : `${shown} of ${articles.length}`;
}

function read() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const name of ["q", "rule", "level"]) {
    if (wanted.has(name)) form[name].value = wanted.get(name);
  }
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => {
  const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  history.replaceState(null, "", `#${wanted}`);
  show();
});
window.addEventListener("hashchange", () => { read(); show(); });
form.hidden = false;
read();
show();
