  // ---- words: two columns, or two texts where they are many; what is chosen is lit on the other side ----

  const sides = {
    query: {words: byId("queries"), picture: byId("query-picture"), axis: byId("query-axis"), nodes: []},
    key: {words: byId("keys"), picture: byId("key-picture"), axis: byId("key-axis"), nodes: []},
  };
  const itemsAt = (side) => (side === "query" ? view.queries : view.keys);
  const gridAt = (side) => (side === "query" ? view.kind.queries : view.kind.keys).grid;
  const wordCount = (side) => itemsAt(side).length - (gridAt(side) ? gridAt(side)[0] * gridAt(side)[1] : 0);
  const axisName = (side) => view.kind[side + "Axis"] || (side === "query" ? "queries" : "keys");

  function nameOf(side, index) {
    const grid = gridAt(side), region = index - wordCount(side);
    if (!grid || region < 0) return itemsAt(side)[index].text;
    const row = Math.floor(region / grid[1]) + 1, column = region % grid[1] + 1;
    return `row ${row} of ${grid[0]}, column ${column} of ${grid[1]}`;
  }

  function drawWords() {
    byId("pair").classList.toggle("long", view.long);
    byId("pair").classList.toggle("gate", view.gate);
    byId("pair").hidden = view.bars || !view.queries.length || !view.keys.length;
    for (const side of ["query", "key"]) {
      const {words, axis} = sides[side], does = side === "query" ? "looks" : "is looked at";
      axis.textContent = `${axisName(side)} — ${view.gate ? "the gate of each, on average" : does}`;
      words.dir = view.kind[side === "query" ? "queries" : "keys"].direction;
      const hidden = view.bars || (view.gate && side === "key");  // units have a heat map
      const items = hidden ? [] : itemsAt(side).slice(0, wordCount(side));
      sides[side].nodes = items.map((item, i) => token(side, item.text, i));
      words.replaceChildren(...sides[side].nodes.map((node) => node.token));
      words.parentNode.hidden = hidden;
      words.hidden = !sides[side].nodes.length;
      drawPicture(side);
    }
  }

  function token(side, text, index) {
    const word = element("span", {class: "word", dir: "auto"}, text);
    const value = element("span", {class: "value", "aria-hidden": "true"});
    const node = element("button", {class: "token", type: "button", tabindex: index ? -1 : 0, "aria-label": text,
                                    "aria-pressed": "false"}, word, value);
    node.dataset.index = index;
    node.dataset.side = side;
    return {token: node, word, value, shown: ""};
  }

  // Only what has changed is touched: a page may have thousands of words.
  function light(side, values, active) {
    sides[side].nodes.forEach((node, index) => {
      const weight = values ? values[index] : 0, strength = Math.min(weight / view.top, 1);
      const isActive = index === active, isHeld = isActive && state.pinned !== null;
      const shown = `${strength.toFixed(3)} ${values && weight >= 0.005 ? number(weight) : ""} ${isActive} ${isHeld}`;
      if (shown === node.shown) return;
      node.shown = shown;
      node.token.classList.toggle("active", isActive);
      node.token.classList.toggle("strong", strength > view.strongFrom && !(isActive && !view.gate));
      node.token.setAttribute("aria-pressed", isHeld);
      node.token.style.setProperty("--weight", strength.toFixed(3));
      node.value.textContent = shown.split(" ")[1];
    });
  }

  function highlight() {
    const choice = current();
    for (const side of ["query", "key"]) {
      const isLit = side === "key" && choice?.query !== undefined && choice.key === undefined;
      const active = choice && !isLit ? choice[side] ?? -1 : -1, values = valuesFor(side, choice);
      light(side, values, active);
      drawVeil(side, values, active);
    }
    drawLinks(choice);
    markMap(choice);
    readOut(choice);
  }

  // ---- in words, for all who do not see the colours ----

  function readOut(choice) {
    const line = byId("readout"), cell = byId("map-readout");
    line.replaceChildren();
    cell.textContent = "";
    if (view.bars) return;
    if (!choice) { line.append(element("span", {class: "quiet"}, emptyLine())); return; }
    const name = (side, index) => element("bdi", {}, nameOf(side, index));
    if (view.gate) gateInWords(line, choice, name);
    else if (choice.query !== undefined && choice.key !== undefined) {
      line.append(name("query", choice.query), " looks at ", name("key", choice.key), " with ",
                  element("b", {}, number(weightAt(choice.query, choice.key))));
    } else rowInWords(line, choice, name);
    if (state.pinned) line.append(" (held; Esc lets go)");
    cell.replaceChildren(...line.cloneNode(true).childNodes);
  }

  function emptyLine() {
    if (byId("pair").hidden || view.gate) return "";
    const what = byId("links").hidden || gridAt("query") || gridAt("key") ? "point at a word or a region" : "all strong weights are drawn";
    return `Nothing is chosen: ${what}.`;
  }

  function rowInWords(line, choice, name) {
    const isQuery = choice.query !== undefined, other = isQuery ? "key" : "query";
    const values = isQuery ? rowOf(choice.query) : columnOf(choice.key), regions = gridAt(other) !== null;
    line.append(isQuery ? name("query", choice.query) : name("key", choice.key));
    line.append(isQuery ? " looks at " : " is looked at by ");
    const ranked = [...values.keys()].filter((i) => values[i] >= 0.0005).sort((a, b) => values[b] - values[a]);
    if (!ranked.length) line.append("nothing");
    ranked.slice(0, regions ? 3 : 6).forEach((index, place) => {
      const [between, mark] = regions ? ["; ", ": "] : [", ", " "];
      line.append(place ? between : "", name(other, index), mark, element("b", {}, number(values[index])));
    });
    const centre = isQuery && !view.joined ? view.kind.centres?.[choice.query] : undefined;
    if (centre !== undefined) line.append(`; its centre is at ${centre.toFixed(1)}, counted from 0`);
  }

  function gateInWords(line, choice, name) {
    const query = choice.query ?? 0, values = rowOf(query);
    line.append(name("query", query));
    if (choice.key !== undefined) {
      line.append(": gate of ", name("key", choice.key), " ", element("b", {}, number(values[choice.key])));
      return;
    }
    const least = values.reduce((a, b) => Math.min(a, b), 1), most = values.reduce((a, b) => Math.max(a, b), 0);
    line.append(": mean gate ", element("b", {}, number(mean(values))), `, from ${number(least)} to ${number(most)}`);
  }

  // ---- the keyboard ----

  function wordKeys(event) {
    const at = event.target.closest(".token");
    if (!at || !isPlain(event)) return;
    const side = at.dataset.side, index = Number(at.dataset.index), {words, nodes} = sides[side];
    if (event.key === "Enter") {
      event.preventDefault();
      hold({[side]: index});
    } else if (event.key === (side === "query" ? "ArrowRight" : "ArrowLeft")) {
      event.preventDefault();
      cross(side, index);
    } else moveFocus(event, nodes.map((node) => node.token), {ArrowDown: 1, ArrowUp: -1}, words);
  }

  // To the word or region on the other side that this one is tied to most strongly.
  function cross(side, index) {
    const other = side === "query" ? "key" : "query";
    const partner = strongest(side === "query" ? rowOf(index) : columnOf(index)), node = sides[other].nodes[partner];
    if (node) focusOn(node.token, sides[other].words);
    else if (gridAt(other) && !sides[other].picture.hidden) goToRegion(other, partner - wordCount(other));
  }

  // Holds a choice until it is chosen again or Escape is pressed.
  function hold(choice) {
    const same = state.pinned && state.pinned.query === choice.query && state.pinned.key === choice.key;
    state.pinned = same ? null : choice;
    highlight();
  }
