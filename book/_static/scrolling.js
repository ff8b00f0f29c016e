/* What scrolls sideways is reached by the keyboard and says so; what fits is no stop on the way.
   The theme makes stops of tables and code, but gives them no name, and forgets figures, which
   scroll on a phone, and formulas. */

(() => {
  "use strict";

  const SCROLLERS = {
    ".pst-scrollable-table-container": "Table",
    ".cell_output figure": "Figure",
    ".text_html": "Table",
    "div.math": "Formula",
    pre: "Code",
  };

  /* Says how a scroller is called: by its caption where it has one. */
  function nameOf(box, kind) {
    const caption = box.querySelector("caption, figcaption");
    return `${caption ? caption.textContent.replace(/\s*#?\s*$/, "") : kind} (scrolls sideways)`;
  }

  function mark(box, kind) {
    const scrolls = box.scrollWidth > box.clientWidth;
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute("role", kind === "Figure" ? "figure" : "group");
      box.setAttribute("aria-label", nameOf(box, kind));
    } else if (box.hasAttribute("aria-label")) {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }

  function markAll() {
    for (const [selector, kind] of Object.entries(SCROLLERS)) {
      document.querySelectorAll(`.bd-article ${selector}`).forEach((box) => mark(box, kind));
    }
  }

  window.addEventListener("load", markAll); // figures have their width by then
  window.addEventListener("resize", markAll);
})();
