  // ---- putting it together: the list, the menus, and who listens to what ----

  const PARTS = ["controls", "heads", "pair", "legend", "bars", "grid-card", "map-card"];  // of an input that has kinds

  function drawList() {
    inputs.forEach((input, index) => {
      const text = element("span", {class: "text", dir: "auto"}, input.text || input.title || "(no words)");
      const place = element("span", {class: "number"}, String(index + 1));
      const item = element("li", {role: "option", tabindex: -1}, place, text);
      item.addEventListener("click", () => showInput(index));
      byId("list").append(item);
    });
    byId("inputs").hidden = inputs.length < 2;
    byId("filter").hidden = inputs.length < 9;
    byId("list").addEventListener("keydown", (event) => {
      moveFocus(event, visibleItems(), {ArrowDown: 1, ArrowUp: -1}, byId("list"))?.click();
    });
    byId("filter").addEventListener("input", filterList);
  }
  const visibleItems = () => [...byId("list").children].filter((item) => !item.hidden);

  function filterList() {
    const wanted = byId("filter").value.trim().toLocaleLowerCase();
    [...byId("list").children].forEach((item, index) => {
      const {title, text, output, kinds} = inputs[index];
      const words = kinds.flatMap(({queries, keys}) => [queries.tokens.join(" "), keys.tokens.join(" ")]);
      item.hidden = ![title, text, output, ...words].some((each) => each.toLocaleLowerCase().includes(wanted));
    });
    const items = visibleItems();
    if (items.length && !items.some((item) => item.tabIndex === 0)) items[0].tabIndex = 0;
  }

  // ---- menus, which always say how many there are ----

  // What was chosen last, also where an input has less: the mean is still wanted behind one with a lone head.
  const wanted = {kind: 0, layer: -1, head: -1};

  function fillMenu(name, names, every) {
    const select = byId(name), count = names.length;
    const options = names.map((text, i) => element("option", {value: i}, `${text} (${i + 1} of ${count})`));
    if (every && count > 1) options.unshift(element("option", {value: -1}, every.replace("all", `all ${count}`)));
    select.replaceChildren(...options);
    state[name] = clamp(wanted[name], every && count > 1 ? -1 : 0, count - 1);
    select.value = String(state[name]);
  }

  function fillMenus() {
    const input = inputs[state.input];
    fillMenu("kind", input.kinds.map((kind) => kind.kind));
    const kind = input.kinds[state.kind];
    // Layers of several sizes have no mean: all are shown.
    fillMenu("layer", kind.layers, kind.sizes ? "all" : "all (mean)");
    fillMenu("head", kind.heads, "all (mean)");
    byId("joined-label").hidden = !kind.queries.words && !kind.keys.words;
    byId("fixed-label").hidden = kind.scale === "gate";
  }

  // Changes what is shown, such as {layer: 2}.
  function choose(change) {
    for (const name of Object.keys(wanted)) wanted[name] = change[name] ?? wanted[name];
    Object.assign(state, change, {pinned: null, pointed: null, focused: null});
    show();
  }

  function show() {
    fillMenus();
    look();
    drawHeads();
    drawWords();
    drawBars();
    drawGrid();
    byId("legend").hidden = view.bars;
    byId("scale-top").textContent = scaleInWords();
    byId("note").textContent = view.kind.note;
    drawMap();
    highlight();
    if (state.head < 0) readAhead(view);
  }

  function scaleInWords() {
    const words = view.top === 1 ? "1" : `${number(view.top)}, the largest weight shown`;
    const lines = sides.key.nodes.length && state.head < 0 && view.kind.heads.length > 1 && lineTop() !== view.top;
    return lines ? `${words}; lines: weights of each head by itself, from 0 to ${number(lineTop())}` : words;
  }

  function showInput(index) {
    const input = inputs[index];
    byId("input-title").textContent = input.title || input.text || "(no words)";
    byId("output").textContent = input.output;
    byId("output").hidden = !input.output;
    [...byId("list").children].forEach((item, i) => {
      item.setAttribute("aria-selected", i === index);
      item.tabIndex = i === index ? 0 : -1;
    });
    for (const id of PARTS) byId(id).hidden = !input.kinds.length;
    state.input = index;
    if (input.kinds.length) choose({});
    else { byId("readout").textContent = byId("note").textContent = ""; }
  }

  // ---- who listens ----

  // The word under a node, as {query} or {key}; null elsewhere.
  function meaning(node) {
    const at = node.closest?.(".token");
    return at ? {[at.dataset.side]: Number(at.dataset.index)} : null;
  }

  const same = (a, b) => a === b || (a && b && a.query === b.query && a.key === b.key);

  function pointAt(choice) {
    if (same(choice, state.pointed)) return;
    state.pointed = choice;
    if (!state.pinned) highlight();
  }

  function listenToWords() {
    for (const side of ["query", "key"]) {
      const {words, picture} = sides[side];
      words.addEventListener("mouseover", (event) => pointAt(meaning(event.target)));
      words.addEventListener("mouseleave", () => pointAt(null));
      words.addEventListener("click", (event) => { const at = meaning(event.target); if (at) hold(at); });
      words.addEventListener("focusin", (event) => { state.focused = meaning(event.target); highlight(); });
      words.addEventListener("focusout", () => { state.focused = null; highlight(); });
      words.addEventListener("keydown", wordKeys);
      picture.addEventListener("mousemove", (event) => pointAt(regionAt(event)));
      picture.addEventListener("mouseleave", () => pointAt(null));
      picture.addEventListener("click", (event) => hold(regionAt(event)));
      picture.addEventListener("focus", () => goToRegion(side, 0));
      picture.addEventListener("blur", () => { state.focused = null; highlight(); });
      picture.addEventListener("keydown", pictureKeys);
    }
  }

  function listenToMap() {
    map.addEventListener("mousemove", (event) => pointAt(cellAt(event)));
    map.addEventListener("mouseleave", () => pointAt(null));
    map.addEventListener("click", (event) => { const at = cellAt(event); if (at) hold(at); });
    map.addEventListener("focus", () => { state.focused = {query: 0, key: 0}; highlight(); });
    map.addEventListener("blur", () => { state.focused = null; highlight(); });
    map.addEventListener("keydown", mapKeys);
    byId("grid").addEventListener("keydown", gridKeys);
    byId("grid").addEventListener("click", (event) => {
      const button = event.target.closest(".thumb");
      if (button) openThumb(button);
    });
  }

  function listenToMenus() {
    for (const name of ["kind", "layer", "head"]) {
      byId(name).addEventListener("change", () => choose({[name]: Number(byId(name).value)}));
    }
    for (const name of ["joined", "fixed"]) {
      byId(name).addEventListener("change", () => choose({[name]: byId(name).checked}));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !view) return;
      state.pinned = state.pointed = state.focused = null;
      highlight();
    });
  }

  // Canvases are painted in the colours and the width of the moment: anew when these change, and light for paper.
  function listenToLook() {
    const again = () => {
      drawGrid.kind = null;  // the small pictures, too
      if (view) show();
    };
    const paper = (light) => { document.documentElement.classList.toggle("light", light); again(); };
    let width = byId("pair").parentNode.clientWidth;
    new ResizeObserver(() => {
      const now = byId("pair").parentNode.clientWidth;
      if (now !== width && view) { width = now; show(); }
    }).observe(byId("pair").parentNode);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    window.addEventListener("beforeprint", () => paper(true));
    window.addEventListener("afterprint", () => paper(false));
  }

  if (inputs.length) {
    drawList();
    listenToWords();
    listenToMap();
    listenToMenus();
    listenToLook();
    showInput(0);
  } else {
    byId("input-title").textContent = "There is no input on this page.";
    for (const id of PARTS) byId(id).hidden = true;
  }
