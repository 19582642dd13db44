'use strict';
// Loads the page's main part again when something has changed, at most twice a second, and sends what buttons say.

const live = document.getElementById('live');

function tell(text) { if (live) live.textContent = text; }

async function load() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (answer.redirected) { location.assign(answer.url); return; }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const [now, next] = [document.querySelector('main'), fresh.querySelector('main')];
  if (!next || now.innerHTML === next.innerHTML) return;
  if (now.contains(document.activeElement) && document.activeElement.matches('input, select')) return;
  // A frame that stays in its place keeps what its reader has opened in it.
  const [frame, nextFrame] = [now.querySelector('iframe'), next.querySelector('iframe')];
  if (frame && nextFrame) {
    for (const node of [...now.childNodes]) if (node !== frame) node.remove();
    let before = true;
    for (const node of [...next.childNodes]) {
      if (node === nextFrame) { before = false; continue; }
      const adopted = document.adoptNode(node);
      if (before) now.insertBefore(adopted, frame); else now.append(adopted);
    }
    if (frame.dataset.seq !== nextFrame.dataset.seq) {
      frame.dataset.seq = nextFrame.dataset.seq;
      frame.src = nextFrame.src;
    }
  } else {
    now.replaceWith(document.adoptNode(next));
  }
  if (!fresh.body.dataset.live && stream) { stream.close(); tell(''); }
}

let stream = null;
let loading = false;
let again = false;

async function changed() {
  if (loading) { again = true; return; }
  loading = true;
  try { await load(); } catch { tell('not connected'); }
  setTimeout(() => { loading = false; if (again) { again = false; changed(); } }, 500);
}

if (document.body.dataset.live) {
  stream = new EventSource(document.body.dataset.live);
  stream.addEventListener('open', () => { tell('live'); });
  stream.addEventListener('run', changed);
  stream.addEventListener('resync', changed);
  stream.addEventListener('error', () => {
    tell('not connected');
    if (stream.readyState === EventSource.CLOSED) changed();
  });
}

async function send(method, path, body) {
  return fetch(path, {
    method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  if (button.id === 'leave') {
    await send('DELETE', '/session', {});
    location.assign('/login');
  } else if (button.dataset.post) {
    if (button.dataset.sure && !confirm(button.dataset.sure)) return;
    button.disabled = true;
    const answer = await send('POST', button.dataset.post, {});
    button.disabled = false;
    if (answer.ok) changed(); else tell((await answer.json()).detail);
  }
});

const login = document.getElementById('login');
if (login) {
  login.addEventListener('submit', async (event) => {
    event.preventDefault();
    const answer = await send('POST', '/session', { token: new FormData(login).get('token') });
    if (answer.ok) location.assign('/');
    else document.getElementById('refused').textContent = (await answer.json()).detail;
  });
}
