  // ---- the picture: a veil over what is not looked at, whose colour shows on dark and on bright pictures ----

  const VEIL = [96, 90, 176];  // its colour
  const COVER = 0.82;          // how much of the picture it hides where there is no weight

  function drawPicture(side) {
    const {picture} = sides[side], grid = gridAt(side), source = view.input.image;
    picture.hidden = !grid;
    picture.replaceChildren();
    if (!grid) return;
    const canvas = element("canvas", {width: 640, height: 640, "aria-hidden": "true"});
    // Without a picture the regions are a plain square.
    if (source) picture.append(element("img", {src: source, alt: view.input.output || view.input.title}));
    picture.append(canvas);
    const does = side === "query" ? "looks" : "is looked at";
    const size = `${grid[0]} rows and ${grid[1]} columns of regions`;
    for (const [name, value] of Object.entries({
      tabindex: 0, role: "application", "aria-roledescription": "picture",
      "aria-label": `Picture that ${does}: ${size}; arrow keys move among them`,
    })) picture.setAttribute(name, value);
    picture.dataset.side = side;
  }

  // values: of all items of the side, or null; active: the item that is chosen, or -1.
  function drawVeil(side, values, active) {
    const {picture} = sides[side], grid = gridAt(side);
    if (!grid || picture.hidden) return;
    const [rows, columns] = grid, first = wordCount(side), canvas = picture.querySelector("canvas");
    const brush = canvas.getContext("2d");
    brush.clearRect(0, 0, canvas.width, canvas.height);
    if (values) {
      const regions = values.subarray(first), top = regions.reduce((a, b) => Math.max(a, b), 0);
      if (regions.filter((weight) => weight > 0).length === 1) squareVeil(brush, canvas, regions, rows, columns);
      else softVeil(brush, canvas, regions, top, rows, columns);
      caption(top, regions.reduce((a, b) => a + b, 0));
    } else if (side === "key") byId("picture-caption").textContent = "";
    if (active >= first) outline(brush, canvas, active - first, rows, columns);
  }

  function caption(top, sum) {
    byId("picture-caption").textContent =
      `Clear: ${number(top)}, the most that one region has here; covered: 0. All regions together: ${number(sum)}.`;
  }

  function veilOf(regions, top, rows, columns) {
    const veil = element("canvas", {width: columns, height: rows}), pen = veil.getContext("2d");
    const image = pen.createImageData(columns, rows);
    regions.forEach((weight, i) => {
      image.data.set([...VEIL, 255 * COVER * (1 - (top > 0 ? weight / top : 0))], 4 * i);
    });
    pen.putImageData(image, 0, 0);
    return veil;
  }

  // One region alone was looked at: a square with sharp edges, as it is.
  function squareVeil(brush, canvas, regions, rows, columns) {
    brush.imageSmoothingEnabled = false;
    brush.drawImage(veilOf(regions, regions[strongest(regions)], rows, columns), 0, 0, canvas.width, canvas.height);
    outline(brush, canvas, strongest(regions), rows, columns);
  }

  function softVeil(brush, canvas, regions, top, rows, columns) {
    brush.imageSmoothingEnabled = true;
    brush.imageSmoothingQuality = "high";
    // Regions lie edge to edge, so the smoothed picture is cut half a region inside its own edge: repeat the edge.
    const width = canvas.width / columns, height = canvas.height / rows, veil = veilOf(regions, top, rows, columns);
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

  // Black in white, so that one of them shows on any picture.
  function outline(brush, canvas, region, rows, columns) {
    const width = canvas.width / columns, height = canvas.height / rows;
    const x = (region % columns) * width, y = Math.floor(region / columns) * height;
    for (const [colour, inset] of [["#fff", 2], ["#000", 5]]) {
      brush.strokeStyle = colour;
      brush.lineWidth = 3;
      brush.strokeRect(x + inset, y + inset, width - 2 * inset, height - 2 * inset);
    }
  }

  function regionAt(event) {
    const picture = event.target.closest(".seen"), box = picture.getBoundingClientRect(), side = picture.dataset.side;
    const [rows, columns] = gridAt(side);
    const column = clamp(Math.floor((event.clientX - box.left) / box.width * columns), 0, columns - 1);
    const row = clamp(Math.floor((event.clientY - box.top) / box.height * rows), 0, rows - 1);
    return {[side]: wordCount(side) + row * columns + column};
  }

  function goToRegion(side, region) {
    if (document.activeElement !== sides[side].picture) sides[side].picture.focus();
    state.focused = {[side]: wordCount(side) + Math.max(region, 0)};
    highlight();
  }

  function pictureKeys(event) {
    const side = event.currentTarget.dataset.side;
    if (!isPlain(event) || !gridAt(side)) return;
    const [rows, columns] = gridAt(side), at = Math.max((state.focused?.[side] ?? 0) - wordCount(side), 0);
    const row = Math.floor(at / columns), column = at % columns;
    const next = {ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column],
                  ArrowUp: [row - 1, column], Home: [row, 0], End: [row, columns - 1]}[event.key];
    if (event.key === "Enter") hold({[side]: wordCount(side) + at});
    if (next) goToRegion(side, clamp(next[0], 0, rows - 1) * columns + clamp(next[1], 0, columns - 1));
    if (next || event.key === "Enter") event.preventDefault();
  }
