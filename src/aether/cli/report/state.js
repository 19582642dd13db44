// The run as it stands at one step of the history. Deltas only: what a step overwrote is remembered when
// it is first applied, so that going back costs as much as going on.
const DATA = JSON.parse(document.getElementById('data').textContent);
const TASKS = DATA.tasks;
const STEPS = DATA.steps;
const ICONS = {
  Created: '·', Ready: '○', Running: '▶', Suspended: '⏸', Succeeded: '✔', Failed: '✘', Error: '!',
  Timeout: '⏱', Skipped: '↷', Cancelled: '⊘',
};
const WAITS = new Set(['Created', 'Ready', 'Suspended']);
const CHILDREN = TASKS.map(() => []);
const ROOTS = [];
TASKS.forEach((task, i) => (task.parent >= 0 ? CHILDREN[task.parent] : ROOTS).push(i));

const state = { step: STEPS.length, run: { ...DATA.run }, tasks: [], born: [] };
const undo = [];

function resolved(i, field, value) {
  return value === '=' && (field === 'inputs' || field === 'outputs') ? TASKS[i][field] : value;
}

function beginning() {
  state.step = 0;
  state.run = { phase: 'Created', message: '', outputs: [] };
  state.tasks = TASKS.map(() => ({ phase: 'Created', message: '', inputs: [], outputs: [], retry_count: 0 }));
  state.born = TASKS.map(() => false);
}

function forward() {
  const step = STEPS[state.step];
  const before = { run: {}, tasks: [], born: [] };
  for (const [field, value] of Object.entries(step.run || {})) {
    before.run[field] = state.run[field];
    state.run[field] = value;
  }
  for (const [i, fields, isNew] of step.tasks || []) {
    const old = {};
    for (const [field, value] of Object.entries(fields)) {
      old[field] = state.tasks[i][field];
      state.tasks[i][field] = resolved(i, field, value);
    }
    before.tasks.push([i, old]);
    if (isNew && !state.born[i]) { before.born.push(i); state.born[i] = true; }
  }
  undo[state.step] = before;
  state.step += 1;
}

function backward() {
  state.step -= 1;
  const before = undo[state.step];
  Object.assign(state.run, before.run);
  for (const [i, old] of before.tasks.slice().reverse()) Object.assign(state.tasks[i], old);
  for (const i of before.born) state.born[i] = false;
}

// Moves to a step; answers the places of all task runs that differ from what is drawn now.
function moveTo(target) {
  const touched = new Set(changedNow());
  while (state.step < target) { forward(); for (const [i] of STEPS[state.step - 1].tasks || []) touched.add(i); }
  while (state.step > target) { backward(); for (const [i] of STEPS[state.step].tasks || []) touched.add(i); }
  return touched;
}

function changedNow() {
  return atEnd() || state.step === 0 ? [] : (STEPS[state.step - 1].tasks || []).map(([i]) => i);
}

// The last step shows the run as it ended; nothing is marked there until one moves.
let moved = false;
function atEnd() { return !moved || !STEPS.length; }

// Phases over time of every task run: [phase, from, to]. From the history when there is one. A start may
// be recorded together with the result, so its own instant counts and not that of the step.
function segments() {
  const found = TASKS.map(() => []);
  const end = runEnd();
  if (!STEPS.length) {
    TASKS.forEach((task, i) => {
      const began = task.started_at ?? task.finished_at ?? end;
      if (began > task.created) found[i].push(['Ready', task.created, began]);
      if (task.started_at !== null) found[i].push(['Running', began, task.finished_at ?? end]);
    });
    return found;
  }
  const open = TASKS.map(() => null);
  for (const step of STEPS) {
    for (const [i, fields, isNew] of step.tasks || []) {
      const phase = fields.phase || (isNew ? 'Created' : null);
      if (phase === null || (open[i] && open[i][0] === phase)) continue;
      const terminal = TERMINAL.has(phase);
      const at = (terminal ? fields.finished_at : phase === 'Running' ? fields.started_at : null) ?? step.at;
      if (open[i]) found[i].push(...closed(open[i], phase, fields, at, TASKS[i]));
      open[i] = terminal ? null : [phase, at];
    }
  }
  open.forEach((piece, i) => piece && found[i].push([...piece, end]));
  return found;
}

function closed([phase, from], next, fields, at, task) {
  const worked = next === 'Suspended' || TERMINAL.has(next);
  if (!worked || phase === 'Running' || phase === 'Suspended') return [[phase, from, at]];
  if (fields.started_at != null) return [[phase, from, fields.started_at], ['Running', fields.started_at, at]];
  // A later attempt keeps the first start; when it began to run is not recorded.
  const again = task.started_at != null && task.started_at < from && next !== 'Cancelled';
  return [[again ? 'Running' : phase, from, at]];
}

const TERMINAL = new Set(['Succeeded', 'Failed', 'Error', 'Timeout', 'Skipped', 'Cancelled']);

function runEnd() {
  let end = DATA.run.finished ?? 0;
  for (const task of TASKS) end = Math.max(end, task.finished_at ?? 0, task.started_at ?? 0, task.created ?? 0);
  for (const step of STEPS) end = Math.max(end, step.at);
  return Math.max(end, 0.001);
}

// An iteration says which one it is; its template's name alone would stand there many times.
function labelOf(task) {
  const iteration = /\.loop\[(\d+)\]\/$/.exec(task.scope);
  return iteration ? `${task.name} [${iteration[1]}]` : task.name;
}

function pathOf(task) { return task.scope + task.name; }

function millisText(ms) {
  if (ms === null || ms === undefined) return '';
  if (ms < 1) return (Math.round(ms * 1000) / 1000) + 'ms';
  if (ms < 1000) return (ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)) + 'ms';
  const s = ms / 1000;
  if (s < 60) return (Math.round(s * 100) / 100) + 's';
  const m = Math.floor(s / 60);
  return m < 60 ? m + 'm' + Math.round(s % 60) + 's' : Math.floor(m / 60) + 'h' + (m % 60) + 'm';
}

function brief(values) {
  return values.map(([name, , value]) => name + '=' + JSON.stringify(value)).join('  ');
}

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === 'class') element.className = value;
    else if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
