"use strict";
(() => {
  const {units, maps} = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const COMPACT = 26;  // more words than this on a side, and the cells are too small for numbers

  // What is shown: a sentence, a layer and a head (-1: the mean), and the word or cell that is pointed at.
  const state = {sentence: 0, layer: -1, head: -1, weights: [], top: 1, pointed: null, focused: null};

  function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  const number = (weight) => weight.toFixed(2);
  const weightAt = (target, source) => state.weights[target * maps[state.sentence].source.length + source];

  // ---- weights ----

  function meanOf(lists, size) {
    const sum = new Float64Array(size);
    for (const list of lists) for (let i = 0; i < size; i++) sum[i] += list[i];
    return sum.map((value) => value / (lists.length * units));
  }

  function chooseWeights() {
    const map = maps[state.sentence];
    const layers = state.layer < 0 ? map.weights : [map.weights[state.layer]];
    const lists = layers.flatMap((heads) => (state.head < 0 ? heads : [heads[state.head]]));
    state.weights = meanOf(lists, map.source.length * map.target.length);
    const largest = state.weights.reduce((a, b) => Math.max(a, b), 0);
    state.top = largest >= 0.5 || largest === 0 ? 1 : largest;
  }

  // ---- the list of sentences ----

  function drawList() {
    maps.forEach((map, index) => {
      const text = element("span", {class: "text", dir: "auto"}, map.text || map.title || "(no words)");
      const place = element("span", {class: "number"}, String(index + 1));
      const item = element("li", {role: "option", tabindex: -1}, place, text);
      item.addEventListener("click", () => showSentence(index));
      byId("list").append(item);
    });
    byId("sentences").hidden = maps.length < 2;
    byId("filter").hidden = maps.length < 9;
    const choose = (item) => item.click();
    byId("list").addEventListener("keydown", (event) => moveFocus(event, visibleItems(), choose, false));
    byId("filter").addEventListener("input", () => {
      const wanted = byId("filter").value.trim().toLocaleLowerCase();
      [...byId("list").children].forEach((item, index) => {
        const {title, source, target} = maps[index];
        const texts = [title, maps[index].text, source.join(" "), target.join(" ")];
        item.hidden = !texts.some((text) => text.toLocaleLowerCase().includes(wanted));
      });
      const items = visibleItems();
      if (items.length && !items.some((item) => item.tabIndex === 0)) items[0].tabIndex = 0;
    });
  }
  const visibleItems = () => [...byId("list").children].filter((item) => !item.hidden);

  // ---- keyboard: one stop of Tab for each group, arrows inside it ----

  function moveFocus(event, items, then, rightToLeft) {
    const forward = rightToLeft ? "ArrowLeft" : "ArrowRight";
    const backward = rightToLeft ? "ArrowRight" : "ArrowLeft";
    const at = items.indexOf(document.activeElement);
    const next = {[forward]: at + 1, [backward]: at - 1, ArrowDown: at + 1, ArrowUp: at - 1,
                  Home: 0, End: items.length - 1}[event.key];
    if (at < 0 || next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const item = items[Math.min(Math.max(next, 0), items.length - 1)];
    focusOn(item);
    if (then) then(item);
  }

  function focusOn(node) {
    const group = node.closest("table, ol, .row");
    for (const other of group.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    node.tabIndex = 0;
    node.focus();
    node.scrollIntoView({block: "nearest", inline: "nearest"});
  }

  // ---- the words ----

  function drawWords() {
    const map = maps[state.sentence];
    for (const side of ["source", "target"]) {
      const row = byId(side);
      row.dir = map[side + "Direction"];
      row.replaceChildren(...map[side].map((text, index) => {
        const word = element("span", {class: "word", dir: "auto"}, text);
        const token = element("button", {class: "token", type: "button", tabindex: index ? -1 : 0, "aria-label": text},
                              word, element("span", {class: "value", "aria-hidden": "true"}));
        token.dataset.index = index;
        return token;
      }));
    }
  }

  // From a word, up and down go to the word on the other side that it is bound to most strongly.
  function strongestPartner(side, index) {
    const map = maps[state.sentence];
    const count = map[side === "target" ? "source" : "target"].length;
    const weight = (other) => (side === "target" ? weightAt(index, other) : weightAt(other, index));
    let best = 0;
    for (let other = 1; other < count; other++) if (weight(other) > weight(best)) best = other;
    return best;
  }

  function wordKeys(side) {
    byId(side).addEventListener("keydown", (event) => {
      const row = byId(side);
      const across = side === "target" ? "ArrowUp" : "ArrowDown";
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        event.preventDefault();
        const other = byId(side === "target" ? "source" : "target");
        const token = event.target.closest(".token");
        if (event.key === across && token && other.children.length) {
          focusOn(other.children[strongestPartner(side, Number(token.dataset.index))]);
        }
        return;
      }
      moveFocus(event, [...row.children], null, row.dir === "rtl");
    });
  }

  function drawLinks() {
    const {source, target} = maps[state.sentence];
    const links = byId("links");
    const active = current();
    const box = byId("words").getBoundingClientRect();
    const place = (side) => [...byId(side).children].map((token) => {
      const word = token.querySelector(".word").getBoundingClientRect();
      return {x: word.left + word.width / 2 - box.left, top: word.top - box.top, bottom: word.bottom - box.top};
    });
    const from = place("source"), to = place("target"), paths = [];
    for (let t = 0; t < target.length; t++) {
      for (let s = 0; s < source.length; s++) {
        const strength = weightAt(t, s) / state.top;
        const chosen = !active || active.target === t || (active.target === undefined && active.source === s);
        if (strength < 0.04 || !chosen) continue;
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        const y1 = from[s].bottom + 4, y2 = to[t].top - 4, middle = (y1 + y2) / 2;
        path.setAttribute("d", `M${from[s].x} ${y1}C${from[s].x} ${middle} ${to[t].x} ${middle} ${to[t].x} ${y2}`);
        path.setAttribute("stroke-width", (0.75 + 3.25 * strength).toFixed(2));
        path.setAttribute("stroke-opacity", ((active ? 0.15 : 0.06) + (active ? 0.8 : 0.5) * strength).toFixed(3));
        paths.push(path);
      }
    }
    links.replaceChildren(...paths);
  }

  // ---- the heatmap ----

  function drawMap() {
    const map = maps[state.sentence];
    const table = byId("map");
    table.dir = map.sourceDirection;
    table.classList.toggle("compact", Math.max(map.source.length, map.target.length) > COMPACT);
    const flat = map.source.length <= COMPACT && map.source.every((text) => [...text].length <= 6);
    const heading = (text) => {
      const upright = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(text);
      const name = flat ? "flat" : upright ? "upright" : "";
      return element("th", {scope: "col", role: "columnheader", title: text, class: name},
                     element("span", {dir: "auto"}, text));
    };
    const head = element("thead", {role: "rowgroup"},
                         element("tr", {role: "row"}, element("td"), ...map.source.map(heading)));
    const body = element("tbody", {role: "rowgroup"});
    map.target.forEach((word, t) => {
      const name = element("th", {scope: "row", role: "rowheader", title: word}, element("bdi", {}, word));
      const row = element("tr", {role: "row"}, name);
      map.source.forEach((from, s) => row.append(cell(word, from, t, s)));
      body.append(row);
    });
    table.replaceChildren(head, body);
    byId("scale-top").textContent = number(state.top);
  }

  function cell(word, from, t, s) {
    const weight = weightAt(t, s), strength = weight / state.top;
    const name = strength > 0.55 ? "strong" : strength < 0.05 ? "faint" : "";
    const label = `${word} to ${from}: ${number(weight)}`;
    const node = element("td", {role: "gridcell", tabindex: t || s ? -1 : 0, "aria-label": label, class: name},
                         weight < 0.005 ? "" : number(weight));
    node.style.setProperty("--weight", Math.min(strength, 1).toFixed(4));
    node.dataset.target = t;
    node.dataset.source = s;
    return node;
  }

  function mapKeys(event) {
    const table = byId("map"), rows = [...table.tBodies[0].rows];
    const at = event.target.closest("tbody td");
    if (!at || event.altKey || event.metaKey) return;
    const t = Number(at.dataset.target), s = Number(at.dataset.source), turn = table.dir === "rtl" ? -1 : 1;
    const last = rows[0].cells.length - 2;
    const next = {ArrowRight: [t, s + turn], ArrowLeft: [t, s - turn], ArrowDown: [t + 1, s], ArrowUp: [t - 1, s],
                  Home: [event.ctrlKey ? 0 : t, 0], End: [event.ctrlKey ? rows.length - 1 : t, last]}[event.key];
    if (!next) return;
    event.preventDefault();
    const row = rows[Math.min(Math.max(next[0], 0), rows.length - 1)];
    focusOn(row.cells[1 + Math.min(Math.max(next[1], 0), last)]);
  }

  // ---- what is pointed at ----

  const current = () => state.pointed || state.focused;

  // The word or cell under a node, as {target} or {source} or both; null elsewhere.
  function meaning(node) {
    const token = node.closest?.(".token"), at = node.closest?.("tbody td");
    if (token) return {[token.parentNode.id]: Number(token.dataset.index)};
    return at ? {target: Number(at.dataset.target), source: Number(at.dataset.source)} : null;
  }

  function highlight() {
    const active = current();
    for (const side of ["source", "target"]) {
      [...byId(side).children].forEach((token, index) => {
        const isLit = side === "source" && active?.target !== undefined;  // a source word that is attended to
        const isActive = active !== null && active[side] === index && !isLit;
        let weight = null;
        if (active && side === "source" && active.target !== undefined) weight = weightAt(active.target, index);
        if (active && side === "target" && active.target === undefined) weight = weightAt(index, active.source);
        token.classList.toggle("active", isActive);
        token.classList.toggle("strong", weight !== null && weight / state.top > 0.55);
        token.style.setProperty("--weight", weight === null ? 0 : Math.min(weight / state.top, 1).toFixed(4));
        token.querySelector(".value").textContent = weight !== null && weight >= 0.005 ? number(weight) : "";
      });
    }
    const table = byId("map");
    [...table.tHead.rows[0].cells].slice(1).forEach((th, s) => th.classList.toggle("active", active?.source === s));
    [...table.tBodies[0].rows].forEach((row, t) => row.cells[0].classList.toggle("active", active?.target === t));
    drawLinks();
    readOut(active);
  }

  function readOut(active) {
    const {source, target} = maps[state.sentence];
    const line = byId("readout");
    line.replaceChildren();
    if (!active) return;
    const word = (text) => element("bdi", {}, text);
    if (active.target !== undefined && active.source !== undefined) {
      line.append(word(target[active.target]), " attends to ", word(source[active.source]), " with ",
                  element("b", {}, number(weightAt(active.target, active.source))));
      return;
    }
    const fromTarget = active.target !== undefined;
    const names = fromTarget ? source : target;
    const weight = (i) => (fromTarget ? weightAt(active.target, i) : weightAt(i, active.source));
    const ranked = names.map((text, i) => ({text, weight: weight(i)}))
                        .filter((entry) => entry.weight >= 0.005).sort((a, b) => b.weight - a.weight).slice(0, 5);
    line.append(word(fromTarget ? target[active.target] : source[active.source]));
    line.append(fromTarget ? " attends to " : " is attended by ");
    if (!ranked.length) line.append("nothing");
    ranked.forEach((entry, i) => {
      line.append(i ? ", " : "", word(entry.text), " ", element("b", {}, number(entry.weight)));
    });
  }

  // ---- putting it together ----

  function drawSentence() {
    chooseWeights();
    state.pointed = state.focused = null;
    drawWords();
    drawMap();
    highlight();
  }

  function showSentence(index) {
    state.sentence = index;
    const map = maps[index];
    byId("sentence-title").textContent = map.title || map.text || "(no words)";
    byId("map").closest("section").hidden = !map.source.length || !map.target.length;
    [...byId("list").children].forEach((item, i) => {
      item.setAttribute("aria-selected", i === index);
      item.tabIndex = i === index ? 0 : -1;
    });
    fillSelect("layer", map.weights.length);
    fillSelect("head", map.weights[0].length);
    byId("controls").hidden = map.weights.length < 2 && map.weights[0].length < 2;
    drawSentence();
  }

  function fillSelect(name, count) {
    const select = byId(name);
    if (state[name] >= count) state[name] = -1;
    const options = Array.from({length: count}, (_, i) => element("option", {value: i}, String(i + 1)));
    select.replaceChildren(element("option", {value: -1}, `mean of ${count}`), ...options);
    select.value = String(state[name]);
    byId(name + "-label").hidden = count < 2;
    select.onchange = () => { state[name] = Number(select.value); drawSentence(); };
  }

  function listen() {
    for (const area of [byId("words"), byId("map")]) {
      area.addEventListener("mouseover", (event) => { state.pointed = meaning(event.target); highlight(); });
      area.addEventListener("mouseleave", () => { state.pointed = null; highlight(); });
      area.addEventListener("focusin", (event) => { state.focused = meaning(event.target); highlight(); });
      area.addEventListener("focusout", () => { state.focused = null; highlight(); });
    }
    wordKeys("source");
    wordKeys("target");
    byId("map").addEventListener("keydown", mapKeys);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      state.pointed = state.focused = null;
      highlight();
    });
    new ResizeObserver(drawLinks).observe(byId("words"));
  }

  if (!maps.length) {
    byId("sentence-title").textContent = "There is no sentence on this page.";
    byId("map").closest("section").hidden = true;
    return;
  }
  drawList();
  listen();
  showSentence(0);
})();
