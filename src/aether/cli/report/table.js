// The table of task runs, its filter, and the dialog that shows one of them whole.
const COLUMNS = [
  ['Task', ''], ['Phase', ''], ['Template', 'wide'], ['Retries', 'wide number'], ['Inputs', 'wide'], ['Outputs', ''],
  ['Started', 'wide number'], ['Took', 'number'],
];
let table;
const shown = { text: '', phase: '' };
const haystacks = new Map();

function haystack(i) {
  if (!haystacks.has(i)) {
    const task = TASKS[i];
    haystacks.set(i, [pathOf(task), task.template, task.type, task.executor, brief(task.inputs), brief(task.outputs)].join('\n').toLowerCase());
  }
  return haystacks.get(i);
}

function matching() {
  const words = shown.text.toLowerCase().split(/\s+/).filter(Boolean);
  return ORDER.filter((i) => {
    const now = state.tasks[i];
    if (shown.phase && !(state.born[i] && now.phase === shown.phase)) return false;
    const live = (now.phase + '\n' + now.message).toLowerCase();
    return words.every((word) => live.includes(word) || haystack(i).includes(word));
  });
}

function cell(css, text, title) { return make('div', { class: css, title: title ?? text, text }); }

function tableRow(i) {
  const task = TASKS[i], now = state.tasks[i];
  const took = now.finished_at != null && now.started_at != null ? now.finished_at - now.started_at : null;
  const name = cell('', pathOf(task), pathOf(task));
  name.style.paddingLeft = DEPTH[i] * 12 + 'px';
  const inputs = cutValue(brief(now.inputs)), outputs = cutValue(now.outputs.length || !now.message ? brief(now.outputs) : now.message);
  const phase = make('div', { class: 'phase', 'data-phase': now.phase, text: state.born[i] ? `${ICONS[now.phase]} ${now.phase}` : 'not yet' });
  return make('div', {
    class: ['row', changes.has(i) ? 'changed' : '', state.born[i] ? '' : 'unborn'].join(' '), 'data-task': i, tabindex: 0, role: 'button',
  }, name, phase, cell('wide', task.template || task.executor), cell('wide number', now.retry_count ? String(now.retry_count) : ''),
  make('code', { class: 'wide', text: inputs }), make('code', { text: outputs }),
  cell('wide number', now.started_at == null ? '' : '+' + millisText(now.started_at)), cell('number', millisText(took)));
}

function cutValue(text) { return text.length > 200 ? text.slice(0, 200) + '…' : text; }

function drawTable() {
  const places = matching();
  table.show(places);
  document.getElementById('matches').textContent =
    places.length === TASKS.length ? `${TASKS.length} task runs` : `${places.length} of ${TASKS.length} task runs`;
}

function startTable() {
  document.getElementById('head').append(...COLUMNS.map(([text, css]) => make('div', { class: css, text })));
  table = new Rows(document.getElementById('table'), 28, tableRow);
  document.getElementById('filter').addEventListener('input', (event) => { shown.text = event.target.value; drawTable(); });
}

function pretty(value) { return typeof value === 'string' ? value : JSON.stringify(value, null, 2); }

function valueBlocks(title, values) {
  if (!values || !values.length) return [];
  return [make('h2', { text: title }), ...values.map(([name, type, value]) => make('div', { class: 'value' },
    make('div', {}, name, make('span', { class: 'dim', text: type ? '  ' + type : '' })), make('pre', { text: pretty(value) })))];
}

function factList(facts) {
  const list = make('dl');
  for (const [name, value] of facts) {
    if (value !== '' && value !== null && value !== undefined) list.append(make('dt', { text: name }), make('dd', { text: String(value) }));
  }
  return list;
}

function openDetails(i) {
  const task = TASKS[i], now = state.tasks[i];
  const box = document.getElementById('detail');
  const at = (ms) => (ms == null ? '' : '+' + millisText(ms));
  const waits = task.dependencies.map((place) => TASKS[place].name).join(', ');
  box.replaceChildren(
    make('h1', { text: pathOf(task) }), make('p', {}, make('span', { class: 'badge', 'data-phase': now.phase, text: `${ICONS[now.phase]} ${now.phase}` })),
    factList([
      ['message', now.message], ['waits for', TERMINAL.has(now.phase) ? '' : task.waitingFor], ['type', task.type], ['template', task.template],
      ['executor', task.executor], ['after', waits], ['code', now.code ?? ''], ['retries', now.retry_count || ''], ['worker', now.worker],
      ['created', at(task.created)], ['started', at(now.started_at)], ['finished', at(now.finished_at)], ['task run', task.id],
    ]),
    ...valueBlocks('Inputs', now.inputs), ...valueBlocks('Outputs', now.outputs),
    ...DATA.hooks.filter((hook) => hook.task === i).map((hook) => make('p', { class: 'dim', text: `hook ${hook.hook}: ${hook.template} ${hook.phase} ${hook.message}` })));
  const dialog = document.getElementById('details');
  dialog.showModal();
  dialog.scrollTop = 0;
}
