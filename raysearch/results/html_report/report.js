"use strict";
// Tooltips at once, by pointer, touch and arrow keys. Without this script the browser shows the
// titles by itself, after a while.
(() => {
  const tip = document.getElementById("tip");
  const texts = new WeakMap();
  let hot = null;

  for (const title of document.querySelectorAll("main svg title")) {
    texts.set(title.parentNode, title.textContent);
    title.remove();
  }

  const show = (mark, x, y) => {
    if (mark !== hot) {
      if (hot) hot.classList.remove("hot");
      mark.classList.add("hot");
      tip.textContent = texts.get(mark);
      hot = mark;
    }
    tip.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = tip;
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${y - height - 10 < 4 ? y + 18 : y - height - 10}px`;
  };

  const hide = () => {
    if (hot) hot.classList.remove("hot");
    hot = null;
    tip.hidden = true;
  };

  // The mark at a place, or the nearest one in rings around it: thin lines are hard to hit.
  const markAt = (x, y) => {
    for (const radius of [0, 3, 6, 10]) {
      for (let turn = 0; turn < (radius ? 8 : 1); turn++) {
        const angle = (turn * Math.PI) / 4;
        const found = document.elementFromPoint(
          x + radius * Math.cos(angle), y + radius * Math.sin(angle));
        if (found && texts.has(found)) return found;
      }
    }
    return null;
  };

  const point = (event) => {
    const inside = event.target.closest && event.target.closest(".drawing svg");
    const mark = inside && markAt(event.clientX, event.clientY);
    if (mark) show(mark, event.clientX, event.clientY);
    else hide();
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", hide, { passive: true });

  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  for (const drawing of document.querySelectorAll(".drawing svg")) {
    const marks = [...drawing.querySelectorAll(".mark, .line, .bar")].filter((m) => texts.has(m));
    drawing.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      const step = STEPS[event.key];
      if (!step || !marks.length) return;
      event.preventDefault();
      const from = marks.indexOf(hot);
      const next = from < 0 ? (step > 0 ? 0 : marks.length - 1) : from + step;
      const mark = marks[(next + marks.length) % marks.length];
      const box = mark.getBoundingClientRect();
      show(mark, box.left + box.width / 2, box.top);
    });
    drawing.addEventListener("blur", hide);
  }
})();
