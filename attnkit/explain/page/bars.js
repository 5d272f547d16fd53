  // ---- gates of channels: a bar for each, a row of them for each layer ----

  function drawBars() {
    const box = byId("bars"), {kind} = view;
    box.hidden = !view.bars;
    box.replaceChildren();
    if (!view.bars) return;
    const layers = state.layer < 0 ? [...kind.layers.keys()] : [state.layer];
    for (const layer of layers) {
      const values = matrixOf(layer, state.head).subarray(0, kind.sizes ? kind.sizes[layer] : undefined);
      const figure = element("figure", {}, element("figcaption", {}, barsName(layer, values)));
      const canvas = element("canvas", {tabindex: 0, role: "application", "aria-label":
        `${barsName(layer, values)}. Arrow keys move from channel to channel; the gate is said.`});
      figure.append(canvas);
      box.append(figure);
      paintBars(canvas, values, -1);
      listenToBars(canvas, values, layer);
    }
  }

  const barsName = (layer, values) =>
    `${view.kind.layers[layer]}: ${values.length} channels, mean gate ${number(mean(values))}`;

  const LEFT = 28;  // where the first bar stands, behind the numbers of the scale
  const barWidth = (canvas, values) =>
    Math.min((Math.max(canvas.parentNode.clientWidth, 300) - LEFT - 2) / Math.max(values.length, 1), 36);

  function paintBars(canvas, values, active) {
    const width = Math.max(canvas.parentNode.clientWidth, 300), height = 96, left = LEFT;
    const pen = fit(canvas, width, height), y = (value) => 6 + (1 - Math.min(value, 1)) * (height - 12);
    const wide = barWidth(canvas, values);
    pen.font = font(11);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const line of [0, 0.5, 1]) {
      pen.fillStyle = style("--quiet");
      pen.fillText(String(line), left - 6, y(line));
      pen.fillStyle = style("--line");
      pen.fillRect(left, y(line) - 0.5, width - left, 1);
    }
    values.forEach((value, i) => {
      pen.fillStyle = style(i === active ? "--mark" : "--accent");
      pen.fillRect(left + i * wide, y(value), Math.max(wide - (wide > 3 ? 1 : 0), 0.5), y(0) - y(value));
    });
  }

  function listenToBars(canvas, values, layer) {
    let active = -1;
    const show = (channel) => {
      active = clamp(channel, 0, values.length - 1);
      paintBars(canvas, values, active);
      byId("readout").replaceChildren(`${view.kind.layers[layer]}, channel ${active + 1} of ${values.length}: `,
                                      element("b", {}, number(values[active])));
    };
    const clear = () => { active = -1; paintBars(canvas, values, -1); byId("readout").replaceChildren(); };
    canvas.addEventListener("mousemove", (event) => {
      const box = canvas.getBoundingClientRect();
      show(Math.floor((event.clientX - box.left - LEFT) / barWidth(canvas, values)));
    });
    canvas.addEventListener("mouseleave", clear);
    canvas.addEventListener("blur", clear);
    canvas.addEventListener("focus", () => show(Math.max(active, 0)));
    canvas.addEventListener("keydown", (event) => {
      const next = {ArrowRight: active + 1, ArrowLeft: active - 1, Home: 0, End: values.length - 1}[event.key];
      if (next === undefined || !isPlain(event)) return;
      event.preventDefault();
      show(next);
    });
  }
