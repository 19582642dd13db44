// Rows that exist only while they can be seen: a list of 100,000 costs as much as one of 40.
class Rows {
  constructor(box, height, paint) {
    this.box = box; this.height = height; this.paint = paint; this.places = [];
    this.space = make('div', { class: 'space' });
    box.append(this.space);
    box.addEventListener('scroll', () => this.draw());
    new ResizeObserver(() => this.draw()).observe(box);
  }
  show(places) { this.places = places; this.draw(); }
  draw() {
    const { box, height, places } = this;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 5);
    const last = Math.min(places.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + 5);
    this.space.style.height = places.length * height + 'px';
    const drawn = [];
    for (let n = first; n < last; n++) {
      const row = this.paint(places[n]);
      row.style.top = n * height + 'px';
      drawn.push(row);
    }
    this.space.replaceChildren(...drawn);
  }
  reveal(place) {
    const n = this.places.indexOf(place);
    if (n < 0) return;
    const top = n * this.height;
    if (top < this.box.scrollTop || top > this.box.scrollTop + this.box.clientHeight - this.height) {
      this.box.scrollTop = top - this.box.clientHeight / 3;
    }
  }
}

// Parents before their children, each with its depth.
const ORDER = [];
const DEPTH = new Array(TASKS.length).fill(0);
{
  const stack = ROOTS.slice().reverse();
  while (stack.length) {
    const i = stack.pop();
    ORDER.push(i);
    for (const child of CHILDREN[i].slice().reverse()) { DEPTH[child] = DEPTH[i] + 1; stack.push(child); }
  }
}

const END = runEnd();
const PIECES = segments();
let bars;

function nowAt() { return atEnd() ? null : state.step ? STEPS[state.step - 1].at : 0; }

function bar(i) {
  const task = TASKS[i], now = state.tasks[i];
  const label = make('div', { class: 'label', title: pathOf(task) }, make('span', { 'data-phase': now.phase, text: (state.born[i] ? ICONS[now.phase] : ' ') + ' ' }), labelOf(task));
  label.style.paddingLeft = 8 + DEPTH[i] * 12 + 'px';
  const track = make('div', { class: 'track' });
  const phases = PIECES[i];
  phases.forEach(([phase, from, to], n) => {
    const isLast = n === phases.length - 1;
    const ended = isLast && TERMINAL.has(task.phase) ? task.phase : phase === 'Running' && !isLast ? 'Running' : phase;
    const piece = make('div', {
      class: WAITS.has(phase) ? 'piece wait' : 'piece', 'data-phase': WAITS.has(phase) ? phase : ended,
      title: `${phase} for ${millisText(to - from)}, from +${millisText(from)}`,
    });
    piece.style.left = 100 * from / END + '%';
    piece.style.width = 100 * Math.max(0, to - from) / END + '%';
    track.append(piece);
  });
  if (phases.length) {
    const [, , last] = phases[phases.length - 1];
    const took = make('span', { class: 'took', text: millisText(last - phases[0][1]) });
    took.style.left = 100 * last / END + '%';
    track.append(took);
  }
  const at = nowAt();
  if (at !== null) {
    const line = make('div', { class: 'now' });
    line.style.left = 100 * at / END + '%';
    track.append(line);
  }
  const classes = ['bar', changes.has(i) ? 'changed' : '', state.born[i] ? '' : 'unborn'].join(' ');
  return make('div', { class: classes, 'data-task': i }, label, track);
}

function drawAxis() {
  const track = make('div', { class: 'track' });
  const rough = END / 6, unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * (rough / unit >= 5 ? 5 : rough / unit >= 2 ? 2 : 1);
  for (let at = 0; at <= END; at += step) {
    const tick = make('span', { class: 'tick', text: at ? '+' + millisText(at) : '0' });
    tick.style.left = 100 * at / END + '%';
    track.append(tick);
  }
  document.getElementById('axis').replaceChildren(track);
}

function startTimeline() {
  bars = new Rows(document.getElementById('bars'), 24, bar);
  const entry = (css, phase, text) => make('span', {}, make('i', { class: css, 'data-phase': phase }), text);
  document.getElementById('legend').append(
    entry('wait', 'Created', 'waiting'), entry('wait', 'Ready', 'queued'), entry('', 'Running', 'running'),
    entry('wait', 'Suspended', 'suspended'), make('span', { class: 'dim', text: 'the last bar has the colour of how it ended' }));
  drawAxis();
}
