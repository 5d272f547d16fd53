  // ---- the heat map: one canvas, however long the text ----

  const NUMBERS = 30, map = byId("map");  // a cell as wide has room for its number

  function drawMap() {
    const {kind, queries, keys} = view;
    byId("map-card").hidden = view.bars || !queries.length || !keys.length;
    if (byId("map-card").hidden) return;
    const [looks, isSeen] = view.gate ? ["", ""] : [" — looks", " — is looked at"];
    const caption = `Rows: ${axisName("query")}${looks}. Columns: ${axisName("key")}${isSeen}.`;
    byId("map-caption").textContent = caption;
    map.setAttribute("aria-label", `Heat map of ${queries.length} rows and ${keys.length} columns. ${caption} `
      + "Arrow keys move from cell to cell; the weight is said.");
    view.geometry = geometry();
    const {width, height} = view.geometry;
    paintMap(fit(map, width, height), kind.keys.direction === "rtl");
  }

  function geometry() {
    const {queries, keys} = view, pen = map.getContext("2d");
    const room = Math.max(map.closest(".scroll").clientWidth - 12, 320);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.font = font();
    const widest = (side, most) => itemsAt(side).slice(0, 600)
      .reduce((best, _, i) => Math.max(best, pen.measureText(shortName(side, i)).width), 8) + 10;
    const left = Math.min(widest("query"), 180), high = Math.min(widest("key"), 150);
    const wide = clamp((room - left - 14) / keys.length, 1, 46);
    const flat = high <= wide, tall = clamp(Math.max(wide, queries.length <= 60 ? 18 : 1), 1, 30);
    const head = flat ? 22 : high;
    const width = left + wide * keys.length + 2, height = head + tall * queries.length + 2;
    return {left, head, wide, tall, flat, width, height};
  }

  const font = (size = 12.5) => `${size}px ${getComputedStyle(document.body).fontFamily}`;
  const shortName = (side, index) => {
    const region = index - wordCount(side);
    return gridAt(side) && region >= 0 ? `${Math.floor(region / gridAt(side)[1]) + 1},${region % gridAt(side)[1] + 1}`
      : itemsAt(side)[index].text;
  };

  function paintMap(pen, mirrored) {
    const {queries, keys, geometry: {left, head, wide, tall}} = view;
    pen.imageSmoothingEnabled = false;
    const image = pixels(view.matrix, queries.length, keys.length, view.top, ramp(), mirrored);
    pen.drawImage(image, left, head, wide * keys.length, tall * queries.length);
    pen.strokeStyle = style("--line");
    pen.strokeRect(left - 0.5, head - 0.5, wide * keys.length + 1, tall * queries.length + 1);
    pen.font = font();
    pen.fillStyle = style("--text");
    pen.textBaseline = "middle";
    nameRows(pen);
    nameColumns(pen, mirrored);
    if (wide >= NUMBERS && tall >= 18) writeNumbers(pen, mirrored);
    drawCentres(pen, mirrored);
  }

  function nameRows(pen) {
    const {queries, geometry: {left, head, tall}} = view, step = Math.ceil(14 / tall);
    pen.textAlign = "right";
    for (let i = 0; i < queries.length; i += step) {
      clipped(pen, shortName("query", i), left - 6, head + (i + 0.5) * tall, left - 8);
    }
  }

  function nameColumns(pen, mirrored) {
    const {keys, geometry: {left, head, wide, flat}} = view, step = flat ? 1 : Math.ceil(14 / wide);
    for (let i = 0; i < keys.length; i += step) {
      const x = left + ((mirrored ? keys.length - 1 - i : i) + 0.5) * wide;
      pen.save();
      pen.translate(x, head - 6);
      if (!flat) pen.rotate(-Math.PI / 2);
      pen.textAlign = flat ? "center" : "left";
      clipped(pen, shortName("key", i), 0, flat ? -4 : 0, flat ? wide : head - 8);
      pen.restore();
    }
  }

  function clipped(pen, text, x, y, room) {
    let short = text;
    while (short.length > 1 && pen.measureText(short).width > room) {
      const characters = [...short.replace(/…$/, "")];
      short = characters.slice(0, -Math.max(1, characters.length >> 3)).join("") + "…";
    }
    pen.fillText(short, x, y);
  }

  function writeNumbers(pen, mirrored) {
    const {queries, keys, geometry: {left, head, wide, tall}} = view;
    pen.textAlign = "center";
    pen.font = font(11.5);
    const strong = style("--on-high"), weak = style("--text");
    queries.forEach((_, q) => keys.forEach((_, k) => {
      const weight = weightAt(q, k), x = left + ((mirrored ? keys.length - 1 - k : k) + 0.5) * wide;
      pen.fillStyle = weight / view.top > view.strongFrom ? strong : weak;
      if (weight >= 0.005) pen.fillText(weight.toFixed(2), x, head + (q + 0.5) * tall);
    }));
  }

  // Where a local window or a sample lies.
  function drawCentres(pen, mirrored) {
    const {keys, kind, geometry: {left, head, wide, tall}} = view;
    if (!kind.centres || view.joined) return;
    pen.strokeStyle = style("--mark");
    pen.lineWidth = 2;
    kind.centres.forEach((centre, q) => {
      const x = left + (mirrored ? keys.length - centre - 0.5 : centre + 0.5) * wide;
      pen.beginPath();
      pen.arc(x, head + (q + 0.5) * tall, Math.max(2, Math.min(wide, tall) / 4), 0, 2 * Math.PI);
      pen.stroke();
    });
  }

  // Frames around the row and the column that are chosen: the map itself is painted once.
  function markMap(choice) {
    if (!view.geometry) return;
    const {queries, keys, geometry: {left, head, wide, tall}} = view;
    const column = view.kind.keys.direction === "rtl" ? keys.length - 1 - choice?.key : choice?.key;
    frame("map-row", choice?.query !== undefined, left, head + choice?.query * tall, wide * keys.length, tall);
    frame("map-column", choice?.key !== undefined, left + column * wide, head, wide, tall * queries.length);
  }

  function frame(id, shown, x, y, width, height) {
    byId(id).hidden = !shown;
    const [left, top, wide, tall] = [x, y, width, height].map((length) => `${length}px`);
    if (shown) Object.assign(byId(id).style, {left, top, width: wide, height: tall});
  }

  function cellAt(event) {
    const {queries, keys, geometry: {left, head, wide, tall}} = view, box = map.getBoundingClientRect();
    const query = Math.floor((event.clientY - box.top - head) / tall);
    const column = Math.floor((event.clientX - box.left - left) / wide);
    const key = view.kind.keys.direction === "rtl" ? keys.length - 1 - column : column;
    const isRow = query >= 0 && query < queries.length, isColumn = key >= 0 && key < keys.length;
    if (!isRow && !isColumn) return null;
    return {...(isRow ? {query} : {}), ...(isColumn ? {key} : {})};  // beside the map: a whole row or column
  }

  function mapKeys(event) {
    const {queries, keys} = view, turn = view.kind.keys.direction === "rtl" ? -1 : 1;
    const {query = 0, key = 0} = state.focused || {};
    const next = {ArrowRight: [query, key + turn], ArrowLeft: [query, key - turn], ArrowDown: [query + 1, key],
                  ArrowUp: [query - 1, key], Home: [event.ctrlKey ? 0 : query, 0],
                  End: [event.ctrlKey ? queries.length - 1 : query, keys.length - 1]}[event.key];
    if (event.altKey || event.metaKey || !(next || event.key === "Enter")) return;
    event.preventDefault();
    if (event.key === "Enter") { hold({query, key}); return; }
    state.focused = {query: clamp(next[0], 0, queries.length - 1), key: clamp(next[1], 0, keys.length - 1)};
    highlight();
  }
