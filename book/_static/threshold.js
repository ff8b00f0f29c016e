/* A slider over a network's probabilities: where yes begins. cxrlib/pages/threshold.py writes the
   table and the data; without this script the table stands alone. */
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 600, ROW = 34, EDGE = 8;

  const across = (perMille) => EDGE + ((WIDTH - 2 * EDGE) * perMille) / 1000;

  function drawn(tag, attributes, text = "") {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  /* A dot a radiograph, in two rows; where it lies in its row says nothing. */
  function strip(said) {
    const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${2 * ROW}`, "aria-hidden": "true" });
    Object.entries(said).forEach(([kind, values], row) => {
      values.forEach((value, i) => {
        const y = ROW * row + 4 + ((i * 0.618) % 1) * (ROW - 8);
        svg.append(drawn("circle", { class: kind, cx: across(value), cy: y, r: 2.6 }));
      });
    });
    const line = drawn("line", { y1: 0, y2: 2 * ROW });
    svg.append(line);
    return { svg, move: (at) => ["x1", "x2"].forEach((x) => line.setAttribute(x, across(at))) };
  }

  function share(part, of) {
    return of ? `${Math.round((100 * part) / of)} % (${part} of ${of})` : "–";
  }

  function install(box) {
    const { target, start } = box.dataset;
    const places = Object.values(JSON.parse(box.dataset.said));
    const [table, caption] = [box.querySelector("table"), box.querySelector("caption")];
    const strips = places.map(strip);
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: 100, step: 1 });
    slider.value = start;
    const label = document.createElement("label");
    label.append("Where does yes begin? ", slider);
    [...table.tBodies[0].rows].forEach((row, i) => {
      const figure = document.createElement("p");
      figure.append(`${row.cells[0].textContent}: with ${target} above, without below`);
      figure.append(strips[i].svg);
      box.insertBefore(figure, table);
    });
    box.prepend(label);

    function update() {
      const at = 10 * slider.value;
      slider.setAttribute("aria-valuetext", `${slider.value} %`);
      caption.textContent = `Where yes begins at ${slider.value} %`;
      places.forEach((said, i) => {
        strips[i].move(at);
        const [, sensitivity, specificity] = table.tBodies[0].rows[i].cells;
        const found = said.with.filter((p) => p >= at).length;
        const cleared = said.without.filter((p) => p < at).length;
        sensitivity.textContent = share(found, said.with.length);
        specificity.textContent = share(cleared, said.without.length);
      });
    }

    slider.addEventListener("input", update);
    update();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".cxr-threshold").forEach(install);
  });
})();
