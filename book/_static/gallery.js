/* Galleries of radiographs: filters, tiles, and one radiograph large. cxrlib/gallery.py writes the
   data; a page without a gallery is left alone. Nothing is fetched: the page may lie in a folder. */
"use strict";

(() => {
  const ANY = "any";
  const CONFIDENCES = [
    ["sure: 90 % or more", (share) => share >= 0.9],
    ["70 to 90 %", (share) => share >= 0.7 && share < 0.9],
    ["unsure: less than 70 %", (share) => share < 0.7],
  ];

  const webp = (base64) => `data:image/webp;base64,${base64}`;
  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  const yesOrNo = (value) => (value ? "yes" : "no");

  /* Makes an element: its attributes, `on...` listeners among them, and what is in it. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /* Makes an element of an SVG. */
  function drawn(tag, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function select(name, choices, changed) {
    const chooser = make("select", { name, onchange: changed });
    fill(chooser, choices);
    return chooser;
  }

  /* Fills a select with [value, text]s; what was chosen stays chosen if its text is still there. */
  function fill(chooser, choices) {
    const before = chooser.selectedOptions[0]?.text;
    chooser.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    const same = choices.find(([, text]) => text === before);
    if (same) chooser.value = same[0];
  }

  /* Lists what one arm says of each radiograph of its experiment. */
  function casesOf(data, experiment, arm) {
    return experiment.radiographs.map((number, i) => ({
      ...data.radiographs[number],
      experiment: experiment.experiment,
      arm: arm.label,
      method: arm.method,
      probabilities: arm.probabilities[i],
      outcomes: arm.outcomes[i].map((place) => data.outcomes[place]),
      heatmap: arm.heatmaps[i],
    }));
  }

  function matches(one, wanted) {
    const probability = one.probabilities[wanted.target];
    const sure = CONFIDENCES[wanted.confidence]?.[1];
    return (
      (wanted.group === ANY || one.group === wanted.group) &&
      (wanted.outcome === ANY || one.outcomes[wanted.target] === wanted.outcome) &&
      (!sure || sure(Math.max(probability, 1 - probability)))
    );
  }

  /* Says of a radiograph what a tile shows. */
  function alternative(data, one, target) {
    return (
      `${data.groups[one.group]} radiograph. Experiment ${one.experiment}, ${one.arm}: ` +
      `${data.targets[target]} ${percent(one.probabilities[target])}, ` +
      `truth ${yesOrNo(one.truth[target])}, ${one.outcomes[target]}.`
    );
  }

  /* A layer over a radiograph: the grey heatmap, coloured by the page's filter. */
  function heat(one, filter) {
    const layer = make("span", { class: "cxr-heat" });
    if (one.heatmap) layer.style.backgroundImage = `url(${webp(one.heatmap)})`;
    layer.hidden = !one.heatmap;
    layer.style.filter = `url(#${filter})`;
    return layer;
  }

  /* An SVG filter from grey to the heatmap's colours. */
  function colouring(colours, id) {
    const channels = colours.map((row, i) =>
      drawn(`feFunc${"RGB"[i]}`, { type: "table", tableValues: row.join(" ") }));
    const filter = drawn(
      "filter",
      { id, "color-interpolation-filters": "sRGB" },
      drawn("feComponentTransfer", {}, ...channels),
    );
    const svg = drawn("svg", { width: 0, height: 0 }, filter);
    return make("div", { class: "cxr-colouring", "aria-hidden": "true" }, svg);
  }

  function outlineOf(path, grid) {
    const svg = drawn("svg", { viewBox: `0 0 ${grid} ${grid}` }, drawn("path", { d: path }));
    return make("span", { class: "cxr-lungs", "aria-hidden": "true" }, svg);
  }

  /* The dialog: one radiograph beside its heatmap. Returns it with a function that shows one. */
  function largeView(data, filter, step) {
    const title = make("h2", { id: `${filter}-title` });
    const where = make("p", { class: "cxr-where" });
    const heading = make("div", { "aria-live": "polite" }, title, where);
    const opacity = make("input", { type: "range", min: 0, max: 100, value: 50, oninput: blend });
    const amount = make("output");
    const outlined = make("input", { type: "checkbox", oninput: blend });
    outlined.checked = true;
    const outlinedLabel = make("label", {}, outlined, " Outline of the lungs");
    const left = make("span", { class: "cxr-picture" });
    const right = make("span", { class: "cxr-picture" });
    const about = make("figcaption");
    const scale = make("span", { class: "cxr-scale", "aria-hidden": "true" });
    const stops = data.colours[0].map((_, i) => `rgb(${data.colours.map((row) => 255 * row[i])})`);
    scale.style.backgroundImage = `linear-gradient(to right, ${stops})`;
    const answers = make("tbody");
    const columns = ["Target", "Probability", "Answer", "Truth", "Outcome"];
    const dialog = make(
      "dialog",
      { class: "cxr-large", "aria-labelledby": title.id, onkeydown: pressed, onclick: outside },
      make(
        "div",
        { class: "cxr-inside" },
        make(
          "div",
          { class: "cxr-bar" },
          make("button", { type: "button", onclick: () => step(-1) }, "← Previous"),
          make("button", { type: "button", autofocus: "", onclick: () => step(1) }, "Next →"),
          make("button", { type: "button", onclick: () => dialog.close() }, "Close ✕"),
        ),
        heading,
        make(
          "div",
          { class: "cxr-pair" },
          make("figure", {}, left, make("figcaption", {}, "Radiograph")),
          make("figure", {}, right, about),
        ),
        make(
          "div",
          { class: "cxr-controls" },
          make("label", {}, "Heatmap opacity ", opacity, " ", amount),
          make("span", { class: "cxr-legend" }, "0 ", scale, " most"),
          outlinedLabel,
        ),
        make(
          "table",
          { class: "cxr-answers", "aria-label": "What the arm says, and the truth" },
          make("thead", {}, make("tr", {}, ...columns.map((c) => make("th", { scope: "col" }, c)))),
          answers,
        ),
      ),
    );

    function blend() {
      dialog.style.setProperty("--cxr-opacity", opacity.value / 100);
      dialog.classList.toggle("cxr-outlined", outlined.checked);
      amount.value = `${opacity.value}\u00a0%`;
    }

    function pressed(event) {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move || event.target === opacity) return; // there the arrows move the slider
      event.preventDefault();
      step(move);
    }

    function outside(event) {
      if (event.target === dialog) dialog.close();
    }

    function show(one, place, count, judged) {
      const copy = one.copy ? `, augmented copy ${one.copy}` : "";
      const target = data.group_targets[one.group];
      title.textContent = `Radiograph ${place + 1} of ${count}: ${data.groups[one.group]}`;
      where.textContent = `Experiment ${one.experiment}, ${one.arm}; ${one.file}${copy}`;
      about.textContent = one.heatmap
        ? `Heatmap: ${one.method}, for ${target}, its group's target`
        : target
          ? `The heatmap is empty: nothing speaks for ${target}`
          : "No heatmap: its group has no target of its own";
      const src = webp(one.image);
      left.replaceChildren(make("img", { src, alt: alternative(data, one, judged) }));
      const alt = `${about.textContent}, over the radiograph`;
      right.replaceChildren(make("img", { src, alt }), heat(one, filter));
      if (one.lungs) for (const side of [left, right]) side.append(outlineOf(one.lungs, data.grid));
      outlinedLabel.hidden = !one.lungs;
      answers.replaceChildren(...data.targets.map((name, i) => {
        const [probability, truth, outcome] = [one.probabilities[i], one.truth[i], one.outcomes[i]];
        const answer = outcome === "right" ? truth : !truth;
        const share = make("td", { class: "cxr-share" }, percent(probability));
        share.style.setProperty("--cxr-share", `${100 * probability}%`);
        return make(
          "tr",
          {},
          make("th", { scope: "row" }, name),
          share,
          make("td", {}, yesOrNo(answer)),
          make("td", {}, yesOrNo(truth)),
          make("td", { "data-outcome": outcome }, outcome),
        );
      }));
      blend();
      if (!dialog.open) dialog.showModal();
    }

    return { dialog, show };
  }

  /* Turns one gallery's data into its page. */
  function build(holder, data, id) {
    const experiments = data.experiments.filter((one) => one.arms.length);
    const numbered = (names) => names.map((name, i) => [i, name]);
    const anyOr = (choices) => [[ANY, "any"], ...choices];
    const chosen = {
      experiment: select("experiment", numbered(experiments.map((one) => one.experiment)), rearm),
      arm: select("arm", [], refresh),
      target: select("target", numbered(data.targets), refresh),
      group: select("group", anyOr([]), refresh),
      outcome: select("outcome", anyOr(data.outcomes.map((name) => [name, name])), refresh),
      confidence: select("confidence", anyOr(numbered(CONFIDENCES.map(([name]) => name))), refresh),
    };
    const overlaid = make("input", { type: "checkbox", oninput: overlay });
    overlaid.checked = true;
    const tiles = make("ul", { class: "cxr-tiles", role: "list", onkeydown: walk });
    const count = make("p", { class: "cxr-count", role: "status" });
    const all = make("button", { type: "button", class: "cxr-all", onclick: reset }, "Show all");
    const note = make("p", { class: "cxr-note" });
    const end = make("p", { class: "cxr-end", id: `${id}-end`, tabindex: -1 }, "End of the gallery.");
    let shown = [];
    let current = 0;
    const { dialog, show } = largeView(data, `${id}-heat`, (by) => open(current + by));
    dialog.addEventListener("close", () => tiles.querySelectorAll("button")[current].focus());
    chosen.target.value = data.targets.indexOf("COVID");

    const absent = data.experiments
      .filter((one) => one.missing.length)
      .map((one) => `Not run in ${one.experiment}: ${one.missing.join("; ")}.`)
      .map((text) => make("p", { class: "cxr-note" }, text));
    if (!experiments.length) {
      holder.replaceChildren(...absent);
      return;
    }
    holder.replaceChildren(
      make(
        "form",
        { class: "cxr-filters", "aria-label": "Which radiographs to show" },
        ...Object.entries(chosen).map(([name, chooser]) =>
          make("label", {}, make("span", {}, name[0].toUpperCase() + name.slice(1)), chooser)),
        make("label", { class: "cxr-check" }, overlaid, " Heatmaps on the tiles"),
      ),
      count,
      all,
      note,
      make("a", { class: "cxr-skip", href: `#${id}-end` }, "Past the radiographs"),
      tiles,
      end,
      dialog,
      colouring(data.colours, `${id}-heat`),
    );
    note.after(...absent);
    overlay();
    rearm();

    function overlay() {
      tiles.classList.toggle("cxr-plain", !overlaid.checked);
    }

    function rearm() {
      const { arms, radiographs, total } = experiments[chosen.experiment.value];
      fill(chosen.arm, numbered(arms.map((arm) => arm.label + arm.note)));
      const there = new Set(radiographs.map((number) => data.radiographs[number].group));
      const groups = Object.entries(data.groups).filter(([group]) => there.has(group));
      fill(chosen.group, anyOr(groups));
      note.textContent = radiographs.length < total
        ? `Here are ${radiographs.length} of the ${total} test radiographs: the first of each group.`
        : "";
      refresh();
    }

    /* Takes back what leaves radiographs out; nothing else. */
    function reset() {
      for (const name of ["group", "outcome", "confidence"]) chosen[name].value = ANY;
      refresh();
      chosen.group.focus();
    }

    function refresh() {
      const experiment = experiments[chosen.experiment.value];
      const wanted = Object.fromEntries(Object.entries(chosen).map(([name, { value }]) => [name, value]));
      const cases = casesOf(data, experiment, experiment.arms[wanted.arm]);
      shown = cases.filter((one) => matches(one, wanted));
      count.textContent = `${shown.length} of ${cases.length} test radiographs match.`;
      all.hidden = shown.length > 0;
      tiles.replaceChildren(...shown.map((one, i) => tile(one, i, Number(wanted.target))));
    }

    function tile(one, place, target) {
      const outcome = one.outcomes[target];
      const said = make(
        "span",
        { class: "cxr-said", "aria-hidden": "true" },
        `${data.targets[target]} ${percent(one.probabilities[target])}`,
        make("b", { "data-outcome": outcome }, outcome),
        make("i", {}, one.heatmap ? `heatmap: ${data.group_targets[one.group]}` : "no heatmap"),
      );
      const image = make("img", { src: webp(one.image), alt: alternative(data, one, target) });
      const picture = make("span", { class: "cxr-picture" }, image, heat(one, `${id}-heat`));
      return make("li", {}, make("button", { type: "button", onclick: () => open(place) }, picture, said));
    }

    /* After the last radiograph comes the first. */
    function open(place) {
      current = (place + shown.length) % shown.length;
      show(shown[current], current, shown.length, chosen.target.value);
    }

    /* Arrow keys, Home and End go from tile to tile. */
    function walk(event) {
      const all = [...tiles.querySelectorAll("button")];
      const here = all.indexOf(document.activeElement);
      const row = all.filter((one) => one.offsetTop === all[0].offsetTop).length;
      const to = {
        ArrowLeft: here - 1, ArrowRight: here + 1, ArrowUp: here - row, ArrowDown: here + row,
        Home: 0, End: all.length - 1,
      }[event.key];
      if (here < 0 || to === undefined) return;
      event.preventDefault();
      all[to]?.focus();
    }
  }

  function start() {
    document.querySelectorAll(".cxr-gallery").forEach((holder, i) => {
      build(holder, JSON.parse(holder.querySelector("script").textContent), `cxr-gallery-${i}`);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
