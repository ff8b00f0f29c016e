/* Sliders over figures: where yes begins, and how firmly marks were tied to the groups.
   cxrlib/pages/sliders.py writes the tables and the data; without this script they stand alone. */
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 600, ROW = 34, EDGE = 8;

  const across = (share) => EDGE + (WIDTH - 2 * EDGE) * share;

  function drawn(tag, attributes, children = []) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function strip(rows, children) {
    const box = { viewBox: `0 0 ${WIDTH} ${rows * ROW}`, "aria-hidden": "true" };
    return drawn("svg", box, children);
  }

  function slider(box, question, most, start) {
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max: most, step: 1 });
    input.value = start;
    const label = document.createElement("label");
    label.append(question, input);
    box.prepend(label);
    return input;
  }

  /* Puts a line of text and a figure of each row before the table; returns the texts. */
  function rowByRow(box, table, figures) {
    return figures.map((figure) => {
      const [line, text] = [document.createElement("p"), document.createElement("span")];
      line.append(text, figure);
      box.insertBefore(line, table);
      return text;
    });
  }

  function share(part, of) {
    return of ? `${Math.round((100 * part) / of)} % (${part} of ${of})` : "–";
  }

  /* A dot a radiograph, in two rows; where it lies in its row says nothing. */
  function dots(said) {
    return Object.entries(said).flatMap(([kind, values], row) =>
      values.map((value, i) => {
        const y = ROW * row + 4 + ((i * 0.618) % 1) * (ROW - 8);
        return drawn("circle", { class: kind, cx: across(value / 1000), cy: y, r: 2.6 });
      }));
  }

  function threshold(box) {
    const places = Object.values(JSON.parse(box.dataset.said));
    const [table, caption] = [box.querySelector("table"), box.querySelector("caption")];
    const input = slider(box, "Where does yes begin? ", 100, box.dataset.start);
    const lines = places.map(() => drawn("line", { y1: 0, y2: 2 * ROW }));
    const figures = places.map((said, i) => strip(2, [...dots(said), lines[i]]));
    rowByRow(box, table, figures).forEach((text, i) => {
      const place = table.tBodies[0].rows[i].cells[0].textContent;
      text.append(`${place}: with ${box.dataset.target} above, without below`);
    });

    function update() {
      const at = 10 * input.value;
      input.setAttribute("aria-valuetext", `${input.value} %`);
      caption.textContent = `Where yes begins at ${input.value} %`;
      places.forEach((said, i) => {
        ["x1", "x2"].forEach((x) => lines[i].setAttribute(x, across(at / 1000)));
        const [, sensitivity, specificity] = table.tBodies[0].rows[i].cells;
        const found = said.with.filter((p) => p >= at).length;
        const cleared = said.without.filter((p) => p < at).length;
        sensitivity.textContent = share(found, said.with.length);
        specificity.textContent = share(cleared, said.without.length);
      });
    }

    input.addEventListener("input", update);
    update();
  }

  /* A row an experiment: its AUC with marks as in training and at random, from a coin's 0.5 to 1. */
  function dial(box) {
    const said = JSON.parse(box.dataset.said), ties = Object.keys(said);
    const [table, caption] = [box.querySelector("table"), box.querySelector("caption")];
    const input = slider(box, "How firmly were marks tied to the groups? ", ties.length - 1,
      ties.length - 1);
    const rows = [...table.tBodies[0].rows];
    const parts = rows.map((row) => ({
      lost: drawn("line", { class: "lost", y1: ROW / 2, y2: ROW / 2 }),
      tied: drawn("circle", { class: "tied", cy: ROW / 2, r: 7 }),
      random: drawn("circle", { class: "random", cy: ROW / 2, r: 7 }),
    }));
    const figures = parts.map((part, i) => {
      const figure = strip(1, Object.values(part));
      figure.style.color = JSON.parse(box.dataset.colours)[i];
      return figure;
    });
    const texts = rowByRow(box, table, figures);

    function update() {
      const tie = ties[input.value];
      input.setAttribute("aria-valuetext", tie);
      caption.textContent = `AUC where the tie was ${tie} in training`;
      said[tie].forEach((values, i) => {
        values.forEach((value, k) => { rows[i].cells[k + 1].textContent = value; });
        const [tied, random] = values.map((value) => across(Math.max(0, 2 * Number(value) - 1)));
        const { lost } = parts[i];
        lost.setAttribute("x1", tied);
        lost.setAttribute("x2", random);
        parts[i].tied.setAttribute("cx", tied);
        parts[i].random.setAttribute("cx", random);
        texts[i].textContent =
          `${rows[i].cells[0].textContent}: ${values[0]} with them, ${values[1]} at random`;
      });
    }

    input.addEventListener("input", update);
    update();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".cxr-threshold").forEach(threshold);
    document.querySelectorAll(".cxr-dial").forEach(dial);
  });
})();
