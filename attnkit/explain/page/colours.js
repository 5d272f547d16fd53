  // ---- colours: of the page's style, of heads, and the steps of the heat map ----

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches
    && !document.documentElement.classList.contains("light");

  // From which strength on the ink of the strongest reads better than that of the page.
  const strongFrom = () => (isDark() ? 0.66 : 0.5);

  // Each head of a layer has a hue of its own; a lone one, the colour of the page.
  function headColour(head, alpha = 1) {
    const count = view.kind.heads.length;
    if (head < 0 || count === 1) return `color-mix(in oklab, ${style("--accent")} ${100 * alpha}%, transparent)`;
    return `oklch(${isDark() ? 0.78 : 0.58} 0.17 ${Math.round(25 + 360 * head / count)} / ${alpha})`;
  }

  // [256 * 4] bytes from no weight to the full one.
  function ramp() {
    const pen = element("canvas", {width: 256, height: 1}).getContext("2d");
    const low = style("--cell-low"), high = style("--high");
    for (let step = 0; step < 256; step++) {
      pen.fillStyle = `color-mix(in oklab, ${high} ${step / 2.55}%, ${low})`;
      pen.fillRect(step, 0, 1, 1);
    }
    return pen.getImageData(0, 0, 256, 1).data;
  }

  // A canvas of one pixel a weight.
  function pixels(values, rows, columns, top, colours, mirrored = false) {
    const canvas = element("canvas", {width: Math.max(columns, 1), height: Math.max(rows, 1)});
    const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const step = 4 * Math.round(255 * Math.min(values[row * columns + column] / top, 1));
        const to = 4 * (row * columns + (mirrored ? columns - 1 - column : column));
        for (let i = 0; i < 4; i++) image.data[to + i] = colours[step + i];
      }
    }
    pen.putImageData(image, 0, 0);
    return canvas;
  }
