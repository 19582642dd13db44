// The page around the views: header, tabs, history.
let changes = new Set();

function badge(element, phase) {
  element.dataset.phase = phase;
  element.textContent = `${ICONS[phase]} ${phase}`;
}

function drawHeader() {
  const run = DATA.run;
  document.getElementById('name').textContent = run.name;
  badge(document.getElementById('phase'), state.run.phase);
  document.getElementById('facts').textContent = [
    atEnd() && run.duration && `took ${run.duration}`, `${TASKS.length} task runs`, atEnd() && run.progress && `progress ${run.progress}`,
    `began ${run.createdAt}`, `run ${run.id}`].filter(Boolean).join(' · ');
  const message = document.getElementById('message');
  const lines = [state.run.message, ...(atEnd() ? run.waitingFor.map((text) => 'waits: ' + text) : []), ...run.warnings];
  message.textContent = lines.filter(Boolean).join('\n');
  message.hidden = !message.textContent;
  const counts = {};
  state.tasks.forEach((task, i) => { if (state.born[i]) counts[task.phase] = (counts[task.phase] || 0) + 1; });
  const phases = Object.keys(ICONS).filter((phase) => counts[phase]);
  const progress = document.getElementById('progress');
  const ended = phases.filter((phase) => TERMINAL.has(phase));
  progress.setAttribute('aria-label', ended.map((phase) => `${counts[phase]} ${phase}`).join(', ') + ` of ${TASKS.length}`);
  progress.replaceChildren(...ended.map((phase) => {
    const part = make('span', { 'data-phase': phase, title: `${counts[phase]} ${phase}` });
    part.style.width = 100 * counts[phase] / TASKS.length + '%';
    return part;
  }));
  document.getElementById('counts').replaceChildren(...phases.map((phase) => make('button', {
    class: 'chip', 'data-phase': phase, 'aria-pressed': shown.phase === phase,
    onclick: () => { shown.phase = shown.phase === phase ? '' : phase; select('tasks'); drawHeader(); drawTable(); },
  }, `${ICONS[phase]} ${phase} `, make('b', { text: counts[phase] }))));
}

function drawResult() {
  const run = DATA.run;
  const hooks = DATA.hooks.map((hook) => `${hook.hook} (${hook.task >= 0 ? pathOf(TASKS[hook.task]) : hook.scope}): ${hook.template} ${hook.phase} ${hook.message}`);
  const omitted = DATA.omitted.map((node) => `${node.scope}${node.name}: ${node.reason}`);
  document.getElementById('result').append(
    factList([['phase', run.phase], ['message', run.message], ['run', run.id], ['namespace', run.namespace], ['created', run.createdAt],
      ['took', run.duration], ['task runs', TASKS.length], ['progress', run.progress], ['warnings', run.warnings.join('\n')],
      ['hooks', hooks.join('\n')], ['never reached', omitted.join('\n')]]),
    ...(run.outputs.length ? valueBlocks('Outputs', run.outputs) : [make('p', { class: 'dim', text: 'The run has no outputs.' })]));
}

function drawDocument() {
  let text = DATA.document;
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* YAML stays as it was written */ }
  document.getElementById('source').textContent = text;
}

function select(view) {
  for (const tab of document.querySelectorAll('#tabs button')) {
    const isIt = tab.dataset.view === view;
    tab.setAttribute('aria-selected', isIt);
    tab.tabIndex = isIt ? 0 : -1;
    document.getElementById(tab.dataset.view).hidden = !isIt;
  }
  if (view === 'graph') fitOnce();
  bars.draw(); table.draw();
  history.replaceState(null, '', '#' + view);
}

let fitted = false;
// A page inside another has no size before that has laid it out; then it is told of a new one.
function fitOnce() {
  if (!fitted && document.getElementById('canvas').clientWidth) { fitted = true; fitGraph(); }
}

function fieldText(field, value) {
  if (field === 'phase') return `${ICONS[value] ?? ''} ${value}`;
  if (Array.isArray(value)) return value.length ? brief(value) : 'none';
  if (/_at$/.test(field)) return value === null || value === undefined ? 'none' : '+' + millisText(value);
  return value === '' || value === null || value === undefined ? 'none' : String(value);
}

function changeLine(name, i, fields, old) {
  const parts = [i === null ? make('b', { text: name }) : make('button', { class: 'link', text: name, onclick: () => openDetails(i) })];
  for (const [field, value] of Object.entries(fields)) {
    if (/^(started|finished)_at$/.test(field)) continue;
    const before = old[field];
    const news = fieldText(field, i === null ? value : resolved(i, field, value));
    if (field === 'phase') {
      parts.push(make('mark', { 'data-phase': value, text: before && before !== value ? `${before} → ${news}` : news }));
    } else if (news !== 'none' || fieldText(field, before) !== 'none') {
      parts.push(make('span', { class: 'dim', text: field.replace(/_/g, ' ') }), make('mark', { text: cutValue(news), title: cutValue(news) }));
    }
  }
  return make('li', {}, ...parts);
}

function drawStep() {
  const box = document.getElementById('changes');
  document.getElementById('slider').value = state.step;
  document.getElementById('previous').disabled = state.step === 0;
  document.getElementById('next').disabled = state.step === STEPS.length;
  const output = document.getElementById('step');
  if (!state.step) { output.textContent = `0 of ${STEPS.length}: before it began`; box.replaceChildren(hint('nothing exists yet')); return; }
  const step = STEPS[state.step - 1], before = undo[state.step - 1];
  output.textContent = `${state.step} of ${STEPS.length} · +${millisText(step.at)}`;
  if (atEnd()) { box.replaceChildren(hint('go through the history to see what each step changed')); return; }
  const lines = [];
  if (step.run && Object.keys(step.run).length) lines.push(changeLine('run', null, step.run, before.run));
  (step.tasks || []).slice(0, 200).forEach(([i, fields, isNew], n) => {
    const line = changeLine(pathOf(TASKS[i]), i, fields, before.tasks[n][1]);
    if (isNew) line.append(make('span', { class: 'dim', text: 'new' }));
    lines.push(line);
  });
  for (const [number, fields] of step.hooks || []) lines.push(changeLine(`hook ${fields.hook || number}`, null, fields, {}));
  if ((step.tasks || []).length > 200) lines.push(make('li', { class: 'dim', text: `and ${step.tasks.length - 200} more` }));
  box.replaceChildren(...(lines.length ? lines : [hint('this step changed nothing that can be seen here')]));
}

function hint(text) { return make('li', { class: 'dim', text }); }

function go(target) {
  moved = true;
  const touched = moveTo(Math.max(0, Math.min(STEPS.length, target)));
  changes = new Set(changedNow());
  for (const i of changes) touched.add(i);
  for (const i of touched) paintNode(i);
  drawHeader(); drawStep(); drawTable(); bars.draw();
  const [first] = changes;
  if (first !== undefined) { bars.reveal(first); table.reveal(first); }
}

function startHistory() {
  document.getElementById('history').hidden = !STEPS.length;
  document.getElementById('slider').max = STEPS.length;
  document.getElementById('slider').addEventListener('input', (event) => go(Number(event.target.value)));
  document.getElementById('previous').addEventListener('click', () => go(state.step - 1));
  document.getElementById('next').addEventListener('click', () => go(state.step + 1));
}

function startState() {
  beginning();
  while (state.step < STEPS.length) forward();
  // What the run's view says counts: without a history, or where it ends early, it is all there is.
  TASKS.forEach((task, i) => {
    if (STEPS.length && state.born[i]) return;
    state.born[i] = true;
    Object.assign(state.tasks[i], { phase: task.phase, message: task.message, inputs: task.inputs, outputs: task.outputs,
      retry_count: task.retry_count, code: task.code, started_at: task.started_at, finished_at: task.finished_at });
  });
  if (!STEPS.length) Object.assign(state.run, DATA.run);
}

function onActivate(event) {
  if (event.type === 'keydown' && event.key !== 'Enter' && event.key !== ' ') return;
  const toggle = event.target.closest('[data-toggle]');
  const task = event.target.closest('[data-task]');
  if (toggle) {
    const i = Number(toggle.dataset.toggle);
    if (graph.open.has(i)) graph.open.delete(i);
    else if (canOpen(i)) graph.open.add(i);
    else { openDetails(i); return; }
    drawGraph();
  } else if (task) openDetails(Number(task.dataset.task));
  else return;
  event.preventDefault();
}

function start() {
  startState();
  startTimeline(); startTable(); startHistory();
  drawHeader(); drawResult(); drawDocument(); drawStep(); drawTable();
  bars.show(ORDER);
  openWithinBudget(); drawGraph();
  for (const tab of document.querySelectorAll('#tabs button')) tab.addEventListener('click', () => select(tab.dataset.view));
  document.getElementById('tabs').addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const tabs = [...document.querySelectorAll('#tabs button')];
    const next = tabs[(tabs.findIndex((tab) => tab.tabIndex === 0) + by + tabs.length) % tabs.length];
    select(next.dataset.view); next.focus();
  });
  for (const id of ['canvas', 'bars', 'table']) {
    for (const kind of ['click', 'keydown']) document.getElementById(id).addEventListener(kind, onActivate);
  }
  document.getElementById('larger').addEventListener('click', () => zoom(graph.zoom * 1.25));
  document.getElementById('smaller').addEventListener('click', () => zoom(graph.zoom / 1.25));
  document.getElementById('fit').addEventListener('click', fitGraph);
  window.addEventListener('resize', fitOnce);
  document.getElementById('expand').addEventListener('click', () => { openAll(); drawGraph(); });
  document.getElementById('collapse').addEventListener('click', () => { graph.open.clear(); drawGraph(); });
  const wanted = location.hash.slice(1);
  select(document.querySelector(`#tabs button[data-view="${CSS.escape(wanted)}"]`) ? wanted : 'graph');
  if (/[?&]step=(\d+)/.test(location.search)) go(Number(RegExp.$1));
}

start();
