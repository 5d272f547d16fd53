  // ---- all layers and heads at once, as small heat maps that open ----

  const SMALL = 56;

  // The largest weight of each patch, so that a thin line is not lost when a large map is drawn small.
  function pooled(matrix, rows, columns) {
    const high = Math.min(rows, SMALL), wide = Math.min(columns, SMALL), small = new Float32Array(high * wide);
    const across = Uint16Array.from({length: columns}, (_, column) => Math.floor(column * wide / columns));
    for (let row = 0, at = 0; row < rows; row++) {
      const to = Math.floor(row * high / rows) * wide;
      for (let column = 0; column < columns; column++, at++) {
        const weight = matrix[at];
        if (weight > small[to + across[column]]) small[to + across[column]] = weight;
      }
    }
    return {small, high, wide};
  }

  let drawing = 0;  // the number of the grid that is being drawn, so that an older one stops

  function drawGrid() {
    const {kind} = view, layers = kind.layers.length, heads = kind.heads.length;
    byId("grid-card").hidden = view.bars || layers * heads < 2 || !view.queries.length || !view.keys.length;
    if (byId("grid-card").hidden || view.kind === drawGrid.kind) { markGrid(); return; }
    drawGrid.kind = view.kind;
    const grid = byId("grid");
    grid.style.gridTemplateColumns = `max-content repeat(${heads}, minmax(2.2rem, 4.5rem))`;
    const heading = (name) => element("span", {class: "name", "aria-hidden": "true"}, name);
    const short = (name) => (heads > 8 ? name.replace(/^head (?=\d+$)/, "") : name);
    const row = (name, layer) => [heading(name), ...kind.heads.map((_, head) => thumbnail(layer, head))];
    const cells = [heading(""), ...kind.heads.map((name) => heading(short(name))), ...kind.layers.flatMap(row)];
    grid.replaceChildren(...cells);
    byId("grid-caption").textContent = "A row for each layer, a picture for each of its heads; all on one scale, from "
      + `0 to ${gridTop() === 1 ? "1" : number(gridTop())}. A click or Enter opens one.`;
    paintGrid(++drawing, 0);
    markGrid();
  }

  const gridTop = () => (view.gate || view.kind.top >= 0.5 ? 1 : view.kind.top);

  function thumbnail(layer, head) {
    const {kind} = view, first = layer === 0 && head === 0;
    const button = element("button", {type: "button", class: "thumb", tabindex: first ? 0 : -1, "aria-pressed": "false",
                                      "aria-label": `${kind.layers[layer]}, ${kind.heads[head]}`});
    Object.assign(button.dataset, {layer, head});
    button.title = `${kind.layers[layer]}, ${kind.heads[head]}`;
    return button;
  }

  const thumbs = () => [...byId("grid").querySelectorAll(".thumb")];

  // Large ones some at a time: the page answers between them.
  function paintGrid(turn, first) {
    if (turn !== drawing) return;
    const {kind} = view, rows = kind.queries.tokens.length, columns = kind.keys.tokens.length, colours = ramp();
    const buttons = thumbs(), enough = Date.now() + 15;
    let at = first;
    do {
      const {layer, head} = buttons[at].dataset;
      const {small, high, wide} = pooled(kind.read(Number(layer), Number(head)), rows, columns);
      buttons[at].replaceChildren(pixels(small, high, wide, gridTop(), colours, kind.keys.direction === "rtl"));
    } while (++at < buttons.length && (rows * columns < 4096 || Date.now() < enough));
    if (at < buttons.length) setTimeout(() => paintGrid(turn, at));
  }

  function markGrid() {
    for (const button of thumbs()) {
      const {layer, head} = button.dataset;
      button.setAttribute("aria-pressed", Number(layer) === state.layer && Number(head) === state.head);
    }
  }

  function openThumb(button) {
    const layer = Number(button.dataset.layer), head = Number(button.dataset.head);
    const again = state.layer === layer && state.head === head;
    choose(again ? {layer: -1, head: -1} : {layer, head});
  }

  function gridKeys(event) {
    const button = event.target.closest(".thumb"), heads = view.kind.heads.length;
    if (!button) return;
    if (event.key === "Enter") { event.preventDefault(); openThumb(button); return; }
    moveFocus(event, thumbs(), {ArrowRight: 1, ArrowLeft: -1, ArrowDown: heads, ArrowUp: -heads}, byId("grid"));
  }
