"use strict";

const STEP = 200;
const words = new Intl.Collator("en", { numeric: true });

/** Compares two cells; numbers by value, others as words, nothing always last. */
function compare(a, b, sign) {
  const [x, y] = [a, b].map((cell) => cell.dataset.v ?? cell.textContent);
  if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
  return sign * (a.dataset.v ? x - y : words.compare(x, y));
}

function lively(box) {
  const [table, status] = ["table", "[role=status]"].map((s) => box.querySelector(s));
  const [body, rest] = [table.tBodies[0], table.querySelector("template")];
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const lines = [...body.rows, ...(rest ? rest.content.children : [])];
  let limit = Number(box.dataset.shown);
  let wanted = "";

  function show() {
    const found = lines.filter((line) => !wanted || line.textContent.toLowerCase().includes(wanted));
    body.replaceChildren(...found.slice(0, limit));
    if (!status) return;
    const shown = Math.min(limit, found.length);
    status.textContent = `${shown.toLocaleString("en")} of ${found.length.toLocaleString("en")} lines`;
    status.nextElementSibling.hidden = shown === found.length;
  }

  function sort(heading) {
    const before = heading.getAttribute("aria-sort");
    const other = before === "ascending" ? "descending" : "ascending";
    const order = before === "none" ? heading.dataset.first ?? "ascending" : other;
    headings.forEach((each) => each.setAttribute("aria-sort", each === heading ? order : "none"));
    const [place, sign] = [headings.indexOf(heading), order === "ascending" ? 1 : -1];
    lines.sort((a, b) => compare(a.cells[place], b.cells[place], sign));
    show();
  }

  headings.forEach((each) => each.firstElementChild.addEventListener("click", () => sort(each)));
  box.querySelector("[type=search]")?.addEventListener("input", (event) => {
    wanted = event.target.value.trim().toLowerCase();
    show();
  });
  status?.nextElementSibling.addEventListener("click", () => {
    limit += STEP;
    show();
  });
}

document.querySelectorAll(".table").forEach(lively);
