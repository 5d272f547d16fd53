"use strict";
(() => {
  const {units, images} = JSON.parse(document.getElementById("data").textContent);
  const DARK = 0.2;  // of the light that is left where nothing was looked at

  function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  // A veil of one pixel a region, dark where there is no attention; the browser smooths it as it is enlarged.
  function drawVeil(canvas, image, weights) {
    const veil = element("canvas", {width: image.columns, height: image.rows}), pen = veil.getContext("2d");
    const pixels = pen.createImageData(image.columns, image.rows), top = Math.max(...weights) || 1;
    weights.forEach((weight, i) => { pixels.data[4 * i + 3] = 255 * (1 - DARK) * (1 - weight / top); });
    pen.putImageData(pixels, 0, 0);
    const brush = canvas.getContext("2d");
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.imageSmoothingEnabled = true;
    brush.imageSmoothingQuality = "high";
    // Regions lie edge to edge, so the smoothed picture is cut half a region inside its own edge: repeat the edge.
    const width = canvas.width / image.columns, height = canvas.height / image.rows;
    brush.drawImage(edged(veil), -width, -height, canvas.width + 2 * width, canvas.height + 2 * height);
  }

  function edged(veil) {
    const {width, height} = veil, copy = element("canvas", {width: width + 2, height: height + 2});
    const pen = copy.getContext("2d");
    pen.imageSmoothingEnabled = false;
    for (const [from, size, to] of [[0, 1, 0], [0, width, 1], [width - 1, 1, width + 1]]) {
      for (const [begin, count, at] of [[0, 1, 0], [0, height, 1], [height - 1, 1, height + 1]]) {
        pen.drawImage(veil, from, begin, size, count, to, at, size, count);
      }
    }
    return copy;
  }

  function describe(image, token, weights) {
    const top = Math.max(...weights), place = weights.indexOf(top);
    const row = Math.floor(place / image.columns) + 1, column = place % image.columns + 1;
    const share = (top / units).toFixed(2);
    return `${image.tokens[token]} looks most at row ${row} of ${image.rows}, column ${column} of ${image.columns}: ${share}`;
  }

  function card(image) {
    const picture = element("img", {src: image.source, alt: image.caption || image.title});
    const canvas = element("canvas", {width: 640, height: 640, "aria-hidden": "true"});
    const readout = element("p", {class: "readout", "aria-live": "polite"});
    const words = element("div", {class: "words", role: "group", "aria-label": "Words", dir: "auto"});
    const buttons = image.tokens.map((text, index) => {
      const button = element("button", {type: "button", class: "word", tabindex: index ? -1 : 0, dir: "auto"}, text);
      button.dataset.index = index;
      return button;
    });
    words.append(...buttons);

    let pointed = null, focused = null;
    function show() {
      const token = pointed ?? focused;
      buttons.forEach((button, index) => button.classList.toggle("active", index === token));
      readout.textContent = token === null ? "" : describe(image, token, image.weights[token]);
      if (token === null) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      else drawVeil(canvas, image, image.weights[token]);
    }
    const which = (target) => {
      const button = target.closest(".word");
      return button ? Number(button.dataset.index) : null;
    };
    words.addEventListener("mouseover", (event) => { pointed = which(event.target); show(); });
    words.addEventListener("mouseleave", () => { pointed = null; show(); });
    words.addEventListener("focusin", (event) => { focused = which(event.target); show(); });
    words.addEventListener("focusout", () => { focused = null; show(); });
    words.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "Escape") { pointed = focused = null; show(); return; }
      const rightToLeft = getComputedStyle(words).direction === "rtl", at = buttons.indexOf(document.activeElement);
      const next = {[rightToLeft ? "ArrowLeft" : "ArrowRight"]: at + 1, [rightToLeft ? "ArrowRight" : "ArrowLeft"]: at - 1,
                    ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1}[event.key];
      if (at < 0 || next === undefined) return;
      event.preventDefault();
      const button = buttons[Math.min(Math.max(next, 0), buttons.length - 1)];
      buttons.forEach((other) => { other.tabIndex = other === button ? 0 : -1; });
      button.focus();
    });

    const said = element("div", {class: "said"}, words, readout);
    if (image.title) said.prepend(element("h2", {dir: "auto"}, image.title));
    return element("article", {class: "card"}, element("div", {class: "seen"}, picture, canvas), said);
  }

  document.getElementById("nothing").hidden = images.length > 0;
  document.getElementById("images").append(...images.map(card));
})();
