  // ---- tools: elements, numbers, and the keyboard: one stop of Tab for each group, keys inside it ----

  const byId = (id) => document.getElementById(id);
  const inputs = JSON.parse(byId("data").textContent);

  // What is shown: an input, a kind, a layer and a head (-1: the mean), and what is held, pointed at or focused: null,
  // {query}, {key} or, for a cell, both.
  const state = {input: 0, kind: 0, layer: -1, head: -1, joined: false, fixed: false,
                 pinned: null, pointed: null, focused: null};
  let view = null;  // what follows from it: see look() in weights.js

  function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  const number = (weight) => weight.toFixed(weight > 0 && weight < 0.1 ? 3 : 2).replace(/^(0\.\d\d)0$/, "$1");
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
  const isPlain = (event) => !event.altKey && !event.ctrlKey && !event.metaKey;

  function focusOn(node, group) {
    for (const other of group.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    node.tabIndex = 0;
    node.focus({preventScroll: true});
    node.scrollIntoView({block: "nearest", inline: "nearest"});
  }

  // Moves the focus among items by the keys of `steps`, such as {ArrowDown: 1}; Home and End go to the ends.
  function moveFocus(event, items, steps, group) {
    const at = items.indexOf(document.activeElement);
    const next = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : at + steps[event.key];
    if (at < 0 || Number.isNaN(next) || !isPlain(event)) return null;
    event.preventDefault();
    const item = items[clamp(next, 0, items.length - 1)];
    focusOn(item, group);
    return item;
  }

  // A canvas in the pixels of the screen, with a pen that counts in those of the page.
  function fit(canvas, width, height) {
    const most = Math.sqrt(16e6 / Math.max(width * height, 1));  // what browsers hold without trouble
    const dense = Math.min(window.devicePixelRatio || 1, most);
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }
