  // ---- weights: unpacked (the forms are those of packing.py), averaged, joined to words ----

  function bytesOf(text) {
    const characters = atob(text), bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  }

  const valuesOf = (top) => Float32Array.from({length: 256}, (_, code) => top * (code / 255) ** 2);

  // A function of layer and head (-1: the mean) that gives the weights of all queries and keys, row by row.
  function reader(kind) {
    const bytes = bytesOf(kind.data);
    kind.data = null;
    return kind.form === "sparse" ? sparseReader(kind, bytes) : denseReader(kind, bytes);
  }

  function denseReader(kind, bytes) {
    const size = kind.queries.tokens.length * kind.keys.tokens.length, heads = kind.heads.length;
    const codes = kind.form === "16" ? new Uint16Array(bytes.buffer) : bytes, table = valuesOf(kind.top);
    const chosen = (index, count) => (index < 0 ? Array.from({length: count}, (_, i) => i) : [index]);
    return (layer, head) => {
      const sum = new Float32Array(size), ofLayers = chosen(layer, kind.layers.length), ofHeads = chosen(head, heads);
      for (const l of ofLayers) {
        for (const h of ofHeads) {
          const from = (l * heads + h) * size;
          if (kind.form === "16") for (let i = 0; i < size; i++) sum[i] += codes[from + i] * kind.top / 65535;
          else for (let i = 0; i < size; i++) sum[i] += table[codes[from + i]];
        }
      }
      const count = ofLayers.length * ofHeads.length;
      return count === 1 ? sum : sum.map((value) => value / count);
    };
  }

  function sparseReader(kind, bytes) {
    const n = kind.queries.tokens.length, m = kind.keys.tokens.length;
    const layers = kind.layers.length, heads = kind.heads.length, rows = (layers + 1) * (heads + 1) * n;
    const table = valuesOf(kind.top), starts = new Uint32Array(rows + 1);
    let at = 0;
    const next = () => {
      let value = 0;
      for (; bytes[at] === 255; at++) value += 255;
      return value + bytes[at++];
    };
    for (let row = 0; row < rows; row++) starts[row + 1] = starts[row] + next();
    const keys = new Uint32Array(starts[rows]);
    for (let row = 0; row < rows; row++) {
      for (let i = starts[row], key = 0; i < starts[row + 1]; i++) keys[i] = key += next();
    }
    const codes = bytes.subarray(at);
    return (layer, head) => {
      const matrix = new Float32Array(n * m);
      const first = ((layer < 0 ? layers : layer) * (heads + 1) + (head < 0 ? heads : head)) * n;
      for (let row = 0; row < n; row++) {
        for (let i = starts[first + row]; i < starts[first + row + 1]; i++) matrix[row * m + keys[i]] = table[codes[i]];
      }
      return matrix;
    };
  }

  // ---- what is looked at ----

  // The words or pieces of a side, as {text, start, end} of the pieces.
  function itemsOf(side) {
    if (!state.joined || !side.words) return side.tokens.map((text, i) => ({text, start: i, end: i + 1}));
    const ends = [...side.starts.slice(1), side.tokens.length];
    return side.words.map((text, i) => ({text, start: side.starts[i], end: ends[i]}));
  }

  // Between words: summed over the pieces that are read (gates: their mean), averaged over those that look.
  function merged(raw) {
    const {kind, queries, keys} = view, m = kind.keys.tokens.length;
    if (queries.length * keys.length === raw.length) return raw;
    const matrix = new Float32Array(queries.length * keys.length);
    queries.forEach((query, i) => keys.forEach((key, j) => {
      let sum = 0;
      for (let q = query.start; q < query.end; q++) for (let k = key.start; k < key.end; k++) sum += raw[q * m + k];
      const pieces = kind.scale === "gate" ? key.end - key.start : 1;
      matrix[i * keys.length + j] = sum / ((query.end - query.start) * pieces);
    }));
    return matrix;
  }

  function matrixOf(layer, head) {
    const name = `${layer},${head}`;
    if (!view.matrices.has(name)) {
      if (view.matrices.size > 64) view.matrices.clear();
      view.matrices.set(name, merged(view.kind.read(layer, head)));
    }
    return view.matrices.get(name);
  }

  function topOf(matrix) {
    if (view.kind.scale === "gate" || state.fixed) return 1;
    const largest = matrix.reduce((a, b) => Math.max(a, b), 0);
    return largest >= 0.5 || largest === 0 ? 1 : largest;
  }

  // Sets `view`: the kind, its words, the matrix that is shown, and the weight that has the full colour.
  function look() {
    const input = inputs[state.input], kind = input.kinds[state.kind];
    kind.read ??= reader(kind);
    const same = view?.kind === kind && view.joined === state.joined;
    const matrices = same ? view.matrices : new Map();
    const gate = kind.scale === "gate";
    view = {input, kind, matrices, gate, joined: state.joined};
    view.queries = itemsOf(kind.queries);
    view.keys = itemsOf(kind.keys);
    view.bars = gate && view.queries.length === 1;
    view.long = [kind.queries, kind.keys].some((side) => side.grid)
      || Math.max(view.queries.length, gate ? 0 : view.keys.length) > 40;
    view.matrix = matrixOf(state.layer, state.head);
    view.top = topOf(view.matrix);
    view.places = null;
    view.strongFrom = strongFrom();
  }

  const weightAt = (query, key) => view.matrix[query * view.keys.length + key];
  const rowOf = (query) => view.matrix.subarray(query * view.keys.length, (query + 1) * view.keys.length);
  const columnOf = (key) => Float32Array.from(view.queries, (_, query) => weightAt(query, key));

  // What is chosen: held before pointed at before focused; a lone query is always.
  function current() {
    const choice = state.pinned || state.pointed || state.focused;
    return choice || (view.queries.length === 1 && !view.bars ? {query: 0} : null);
  }

  // What a side shows beside each word for a choice, or null.
  function valuesFor(side, choice) {
    if (view.gate) return side === "query" ? Float32Array.from(view.queries, (_, query) => mean(rowOf(query))) : null;
    if (!choice) return null;
    if (side === "key") return choice.query === undefined ? null : rowOf(choice.query);
    return choice.query === undefined ? columnOf(choice.key) : null;
  }

  const mean = (values) => values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);

  function strongest(values) {
    let best = 0;
    for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
    return best;
  }
