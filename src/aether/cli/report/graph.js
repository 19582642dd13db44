// The graph: a layered layout, containers as boxes inside boxes. Every function of the layout answers an
// item {width, height, draw(x, y)}; nothing is drawn before all sizes are known.
const NODE_W = 176, NODE_H = 38, GAP_X = 46, GAP_Y = 14, PAD = 14, TITLE = 28, CELL = 16;
const OPEN_BUDGET = 300;      // boxes drawn before containers start closed
const BOXES_AT_MOST = 1500;   // a container that would need more is always shown as cells
const GRID_FROM = 25;         // so many leaves beside each other become cells
const SVG = 'http://www.w3.org/2000/svg';
const OMITTED = new Map();
DATA.omitted.forEach((node) => {
  if (!OMITTED.has(node.parent)) OMITTED.set(node.parent, []);
  OMITTED.get(node.parent).push(node);
});

const graph = { open: new Set(), drawn: new Map(), zoom: 1, svg: null };

function openWithinBudget() {
  graph.open.clear();
  let left = OPEN_BUDGET;
  let level = ROOTS;
  while (level.length) {
    const next = [];
    for (const i of level) {
      const cost = boxes(i);
      if (!CHILDREN[i].length || cost > left) continue;
      left -= cost;
      graph.open.add(i);
      next.push(...CHILDREN[i]);
    }
    level = next;
  }
}

function openAll() {
  TASKS.forEach((_, i) => { if (canOpen(i)) graph.open.add(i); });
}

function canOpen(i) { return CHILDREN[i].length > 0 && boxes(i) <= BOXES_AT_MOST; }

// How many boxes a container needs when it is open; a layer that becomes a grid of cells counts as few.
const boxCounts = new Map();
function boxes(i) {
  if (!boxCounts.has(i)) boxCounts.set(i, TASKS[i].type === 'dag' ? dagBoxes(i) : gridOrEach(CHILDREN[i]));
  return boxCounts.get(i);
}

function dagBoxes(i) {
  const nodes = dagNodes(i);
  const layers = [];
  longestPaths(nodes, new Map(nodes.map((node, n) => [node.key, n]))).forEach((layer, n) => (layers[layer] ||= []).push(nodes[n].key));
  return layers.reduce((sum, keys) => sum + gridOrEach(keys), 0);
}

function gridOrEach(keys) {
  const leaves = keys.filter((key) => typeof key === 'number' && isLeaf(key)).length;
  return keys.length - (leaves >= GRID_FROM ? leaves - 10 : 0);
}

function isLeaf(i) { return !isContainer(i) || !CHILDREN[i].length; }

function svg(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') element.textContent = value; else element.setAttribute(name, value);
  }
  if (parent) parent.append(element);
  return element;
}

function cutText(text, width) {
  const fits = Math.floor(width / 6.8);
  return text.length <= fits ? text : text.slice(0, fits - 1) + '…';
}

function isContainer(i) { return TASKS[i].type !== 'task'; }

function layout(i) {
  return isContainer(i) && (CHILDREN[i].length || OMITTED.has(i)) ? container(i) : leaf(i);
}

function leaf(i) {
  return {
    width: NODE_W, height: NODE_H, leaf: true,
    draw(x, y) {
      const task = TASKS[i];
      const group = svg('g', { class: 'node', tabindex: 0, role: 'button', 'data-task': i, transform: `translate(${x},${y})` }, graph.svg);
      svg('title', {}, group);
      svg('rect', { class: 'box', width: NODE_W, height: NODE_H, rx: 7 }, group);
      svg('text', { class: 'icon', x: 15, y: 24 }, group);
      svg('text', { x: 28, y: 16, text: cutText(labelOf(task), NODE_W - 36) }, group);
      svg('text', { class: 'small', x: 28, y: 30 }, group);
      graph.drawn.set(i, group);
    },
  };
}

function container(i) {
  const isOpen = graph.open.has(i);
  const many = CHILDREN[i].length >= GRID_FROM && CHILDREN[i].every(isLeaf);
  const inner = !isOpen ? cells(CHILDREN[i])
    : TASKS[i].type === 'dag' ? layered(i) : many ? cells(CHILDREN[i]) : rows(CHILDREN[i].map(layout));
  const titleWidth = Math.min(420, 150 + TASKS[i].name.length * 7);
  const width = Math.max(inner.width + 2 * PAD, titleWidth);
  return {
    width, height: inner.height + TITLE + PAD,
    draw(x, y) {
      const task = TASKS[i];
      const group = svg('g', { class: 'node', 'data-task': i, transform: `translate(${x},${y})` }, graph.svg);
      svg('title', {}, group);
      svg('rect', { class: 'area', width, height: this.height, rx: 9 }, group);
      svg('text', { class: 'icon', x: 15, y: 19 }, group);
      svg('text', { x: 27, y: 19, text: cutText(labelOf(task), titleWidth - 110) }, group);
      svg('text', { class: 'small', x: width - 10, y: 19, 'text-anchor': 'end', text: `${task.type} · ${CHILDREN[i].length} ${isOpen ? '▾' : '▸'}` }, group);
      svg('rect', { class: 'title', width, height: TITLE, 'data-toggle': i, tabindex: 0, role: 'button', 'aria-label': `${isOpen ? 'close' : 'open'} ${task.name}` }, group);
      graph.drawn.set(i, group);
      inner.draw(x + PAD, y + TITLE);
    },
  };
}

function cells(places) {
  const columns = Math.max(8, Math.min(110, Math.ceil(Math.sqrt(places.length * 3))));
  return {
    width: Math.min(columns, places.length || 1) * CELL, height: Math.max(1, Math.ceil(places.length / columns)) * CELL,
    draw(x, y) {
      places.forEach((i, n) => {
        const left = x + (n % columns) * CELL, top = y + Math.floor(n / columns) * CELL;
        const group = svg('g', { class: 'node', 'data-task': i, transform: `translate(${left},${top})` }, graph.svg);
        svg('title', {}, group);
        svg('rect', { class: 'cell', width: CELL - 3, height: CELL - 3, rx: 3 }, group);
        svg('text', { class: 'icon tiny', x: (CELL - 3) / 2, y: CELL - 6 }, group);
        graph.drawn.set(i, group);
      });
    },
  };
}

// Items side by side, wrapped into rows that make the whole a little wider than high.
function rows(items) {
  const area = items.reduce((sum, item) => sum + (item.width + GAP_Y) * (item.height + GAP_Y), 0);
  const limit = Math.max(Math.sqrt(area) * 1.6, ...items.map((item) => item.width));
  let x = 0, y = 0, tall = 0, width = 0;
  const spots = items.map((item) => {
    if (x > 0 && x + item.width > limit) { x = 0; y += tall + GAP_Y; tall = 0; }
    const spot = [x, y];
    x += item.width + GAP_Y;
    width = Math.max(width, x - GAP_Y);
    tall = Math.max(tall, item.height);
    return spot;
  });
  return {
    width, height: y + tall,
    draw(left, top) { items.forEach((item, n) => item.draw(left + spots[n][0], top + spots[n][1])); },
  };
}

function omittedItem(node) {
  return {
    width: NODE_W, height: NODE_H,
    draw(x, y) {
      const group = svg('g', { class: 'omitted', transform: `translate(${x},${y})` }, graph.svg);
      svg('title', { text: `${node.name}: never reached, ${node.reason}` }, group);
      svg('rect', { class: 'box', width: NODE_W, height: NODE_H, rx: 7 }, group);
      svg('text', { x: 12, y: 16, text: cutText(node.name, NODE_W - 20) }, group);
      svg('text', { class: 'small', x: 12, y: 30, text: cutText('not reached: ' + node.reason, NODE_W - 8) }, group);
    },
  };
}

// The nodes of a DAG, by name: task runs, and those that were never reached.
function dagNodes(i) {
  const nodes = CHILDREN[i].map((child) => ({ key: child, name: TASKS[child].name, needs: TASKS[child].dependencies }));
  const byName = new Map(nodes.map((node) => [node.name, node.key]));
  (OMITTED.get(i) || []).forEach((node, n) => byName.set(node.name, 'o' + n));
  (OMITTED.get(i) || []).forEach((node, n) => nodes.push({
    key: 'o' + n, omitted: node, needs: node.dependencies.filter((name) => byName.has(name)).map((name) => byName.get(name)),
  }));
  return nodes;
}

function layered(i) {
  const nodes = dagNodes(i);
  const at = new Map(nodes.map((node, n) => [node.key, n]));
  const layer = longestPaths(nodes, at);
  const columns = [];
  nodes.forEach((node, n) => (columns[layer[n]] ||= []).push(n));
  const items = [];          // what is laid out: a node, or many leaves of one layer as a grid
  const itemOf = new Array(nodes.length);
  const stacks = columns.map((members) => {
    const leaves = members.filter((n) => !nodes[n].omitted && isLeaf(nodes[n].key));
    const grouped = new Set(leaves.length >= GRID_FROM ? leaves : []);
    const stack = [];
    for (const n of members) {
      if (grouped.has(n)) continue;
      const item = nodes[n].omitted ? omittedItem(nodes[n].omitted) : layout(nodes[n].key);
      itemOf[n] = item; items.push(item); stack.push({ item, members: [n] });
    }
    if (grouped.size) {
      const item = gridGroup(leaves.map((n) => nodes[n].key));
      leaves.forEach((n) => { itemOf[n] = item; });
      items.push(item); stack.push({ item, members: leaves });
    }
    return stack;
  });
  order(stacks, nodes, at, itemOf);
  const size = place(stacks);
  const edges = new Map();
  nodes.forEach((node, n) => node.needs.forEach((need) => {
    const from = itemOf[at.get(need)], to = itemOf[n];
    if (from && from !== to) edges.set(items.indexOf(from) + '>' + items.indexOf(to), [from, to]);
  }));
  return {
    ...size,
    draw(x, y) {
      for (const [from, to] of edges.values()) edge(x, y, from, to);
      for (const item of items) item.draw(x + item.x, y + item.y);
    },
  };
}

function longestPaths(nodes, at) {
  const layer = new Array(nodes.length).fill(0), missing = nodes.map((node) => node.needs.length);
  const after = nodes.map(() => []);
  nodes.forEach((node, n) => node.needs.forEach((need) => after[at.get(need)].push(n)));
  const ready = nodes.map((_, n) => n).filter((n) => !missing[n]);
  while (ready.length) {
    const n = ready.pop();
    for (const next of after[n]) {
      layer[next] = Math.max(layer[next], layer[n] + 1);
      if (!--missing[next]) ready.push(next);
    }
  }
  return layer;
}

function gridGroup(places) {
  const inner = cells(places);
  return {
    width: inner.width + 16, height: inner.height + 30,
    draw(x, y) {
      svg('rect', { class: 'group', x, y, width: this.width, height: this.height, rx: 8 }, graph.svg);
      svg('text', { class: 'small', x: x + 8, y: y + 15, text: `${places.length} tasks` }, graph.svg);
      inner.draw(x + 8, y + 22);
    },
  };
}

// Each layer is sorted by the mean height of what its members wait for: fewer crossings, in one pass.
function order(stacks, nodes, at, itemOf) {
  stacks.forEach((stack, column) => {
    if (column) {
      for (const entry of stack) {
        const needs = entry.members.slice(0, 50).flatMap((n) => nodes[n].needs.map((need) => itemOf[at.get(need)].rank ?? 0));
        entry.pull = needs.length ? needs.reduce((a, b) => a + b, 0) / needs.length : 0;
      }
      stack.sort((a, b) => a.pull - b.pull);
    }
    stack.forEach((entry, n) => { entry.item.rank = stack.length > 1 ? n / (stack.length - 1) : 0.5; });
  });
}

// Layers become columns; when there are too many for a row they go on in the next one.
function place(stacks) {
  const widths = stacks.map((stack) => Math.max(...stack.map((entry) => entry.item.width)));
  const heights = stacks.map((stack) => stack.reduce((sum, entry) => sum + entry.item.height + GAP_Y, -GAP_Y));
  const longest = Math.max(1600, ...widths, Math.sqrt(widths.reduce((sum, w, c) => sum + (w + GAP_X) * (heights[c] + GAP_X), 0)) * 1.5);
  let x = 0, y = 0, tall = 0, width = 0, first = 0;
  const finishRow = (until) => {
    for (let c = first; c < until; c++) for (const { item } of stacks[c]) item.y += y + (tall - heights[c]) / 2;
    y += tall; first = until;
  };
  stacks.forEach((stack, column) => {
    if (x > 0 && x + widths[column] > longest) { finishRow(column); y += GAP_X; x = 0; tall = 0; }
    let top = 0;
    for (const { item } of stack) {
      item.x = x + (widths[column] - item.width) / 2; item.y = top;
      top += item.height + GAP_Y;
    }
    x += widths[column] + GAP_X;
    width = Math.max(width, x - GAP_X);
    tall = Math.max(tall, heights[column]);
  });
  finishRow(stacks.length);
  return { width, height: y };
}

function edge(x, y, from, to) {
  const x1 = x + from.x + from.width, y1 = y + from.y + from.height / 2;
  const x2 = x + to.x - 2, y2 = y + to.y + to.height / 2;
  const bend = x2 > x1 ? Math.max(18, (x2 - x1) / 2) : 40;
  svg('path', { class: 'edge', d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, 'marker-end': 'url(#tip)' }, graph.svg);
}

function drawGraph() {
  graph.drawn.clear();
  const canvas = document.getElementById('canvas');
  graph.svg = document.createElementNS(SVG, 'svg');
  const tip = svg('marker', { id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' }, svg('defs', {}, graph.svg));
  svg('path', { class: 'tip', d: 'M0 0L8 4L0 8z' }, tip);
  const whole = rows(ROOTS.map(layout));
  graph.width = whole.width + 2 * PAD; graph.height = whole.height + 2 * PAD;
  graph.svg.setAttribute('viewBox', `0 0 ${graph.width} ${graph.height}`);
  whole.draw(PAD, PAD);
  canvas.replaceChildren(graph.svg);
  for (const i of graph.drawn.keys()) paintNode(i);
  zoom(graph.zoom);
}

function zoom(factor) {
  graph.zoom = Math.min(3, Math.max(0.05, factor));
  graph.svg.setAttribute('width', graph.width * graph.zoom);
  graph.svg.setAttribute('height', graph.height * graph.zoom);
}

function fitGraph() {
  const canvas = document.getElementById('canvas');
  const wide = canvas.clientWidth / graph.width, high = canvas.clientHeight / graph.height;
  zoom(Math.min(1.25, Math.max(Math.min(wide, high), Math.min(wide, 0.6))));
}

function paintNode(i) {
  const element = graph.drawn.get(i);
  if (!element) return;
  const now = state.tasks[i];
  element.setAttribute('data-phase', now.phase);
  element.classList.toggle('unborn', !state.born[i]);
  element.classList.toggle('changed', changes.has(i));
  element.querySelector('title').textContent = `${pathOf(TASKS[i])}: ${state.born[i] ? now.phase : 'does not exist yet'}${now.message ? ' (' + now.message + ')' : ''}`;
  const icon = element.querySelector('.icon');
  if (!icon) return;
  icon.textContent = state.born[i] ? ICONS[now.phase] : '';
  if (!isContainer(i) || !CHILDREN[i].length) {
    const notes = [state.born[i] ? now.phase : 'not yet'];
    if (now.retry_count) notes.push(`retry ${now.retry_count}`);
    if (TASKS[i].executor) notes.push(TASKS[i].executor);
    const small = element.querySelector('.small');
    if (small) small.textContent = cutText(notes.join(' · '), NODE_W - 20);
  }
}
