  // ---- lines between words: a head's colour, as wide and as dark as the weight ----

  const FAINTEST = 0.04, MOST = 1500, MOST_OF_ONE = 60;

  // Where each word's line starts or ends, in pixels of the two columns; found once for a layout.
  function placesOf() {
    if (view.places) return view.places;
    const box = byId("pair").getBoundingClientRect();
    const place = (side) => sides[side].nodes.map(({word}) => {
      const rect = word.getBoundingClientRect();
      return {x: (side === "query" ? rect.right : rect.left) - box.left, y: (rect.top + rect.bottom) / 2 - box.top};
    });
    view.places = {width: box.width, height: box.height, query: place("query"), key: place("key")};
    return view.places;
  }

  // Heads have weights that their mean has not, and so a scale of their own.
  const lineTop = () => (state.head < 0 && view.kind.heads.length > 1 && !state.fixed ? gridTop() : view.top);

  // [query, key, strength, head] of all lines, the strongest last, on top.
  function tiesOf(choice) {
    const heads = state.head < 0 ? view.kind.heads.map((_, head) => head) : [state.head], ties = [];
    const queries = sides.query.nodes.length, keys = sides.key.nodes.length, width = view.keys.length;
    const range = (chosen, count) => (chosen === undefined ? [0, count] : [chosen, Math.min(chosen + 1, count)]);
    const [first, last] = range(choice?.query, queries), [left, right] = range(choice?.key, keys);
    for (const head of heads) {
      const matrix = matrixOf(state.layer, head), top = lineTop();
      for (let q = first; q < last; q++) {
        for (let k = left; k < right; k++) {
          const strength = Math.min(matrix[q * width + k] / top, 1);
          if (strength >= FAINTEST) ties.push([q, k, strength, head]);
        }
      }
    }
    return ties.sort((a, b) => a[2] - b[2]).slice(choice && view.long ? -MOST_OF_ONE : -MOST);
  }

  // The heads of a long text take a while to read: so that the first word answers at once, they are read before.
  function readAhead(of, head = 0) {
    if (view !== of || head >= of.kind.heads.length) return;
    matrixOf(state.layer, head);
    setTimeout(() => readAhead(of, head + 1));
  }

  function drawLinks(choice) {
    const canvas = byId("links");
    canvas.hidden = view.gate || (view.long && !choice) || !sides.query.nodes.length || !sides.key.nodes.length;
    view.ties = canvas.hidden ? [] : tiesOf(choice);
    if (canvas.hidden || byId("pair").hidden) return;
    const {width, height, query, key} = placesOf(), pen = fit(canvas, width, height);
    const crowd = choice ? 1 : Math.min(1, 12 / Math.sqrt(view.ties.length + 1));
    pen.lineCap = "round";
    for (const [q, k, strength, head] of view.ties) {
      const from = query[q], to = key[k], middle = (from.x + to.x) / 2;
      pen.strokeStyle = headColour(head, (0.12 + 0.83 * strength) * (0.35 + 0.65 * crowd));
      pen.lineWidth = 0.75 + (view.long ? 2.25 : 4.25) * strength;
      pen.beginPath();
      pen.moveTo(from.x + 4, from.y);
      pen.bezierCurveTo(middle, from.y, middle, to.y, to.x - 4, to.y);
      pen.stroke();
    }
  }

  // ---- the colours' legend, which opens heads, too ----

  function drawHeads() {
    const {kind} = view, box = byId("heads");
    box.hidden = kind.heads.length < 2 || view.gate;
    if (box.hidden) return;
    box.replaceChildren(...kind.heads.map((name, head) => {
      const pressed = {"aria-pressed": state.head === head};
      const chip = element("button", {type: "button", class: "chip", ...pressed}, element("i"), name);
      chip.firstChild.style.background = headColour(head);
      chip.addEventListener("click", () => choose({head: state.head === head ? -1 : head}));
      return chip;
    }));
  }
