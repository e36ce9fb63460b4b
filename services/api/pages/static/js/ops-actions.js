// What the operations page can do. Nothing that removes, stops or repeats is done before it was confirmed.
import { getJson, problemOf, request } from './api.js';
import { h, notice } from './dom.js';
import { ago, dateOf } from './times.js';

const [messages, letters, sure] = ['notice', 'letters', 'sure'].map((id) => document.getElementById(id));

export function button(words, onclick, kind = '') {
  return h('button', { type: 'button', class: kind, onclick }, words);
}

/** Whether the operator means it. */
function confirmed(title, detail, yes) {
  document.getElementById('sure-title').textContent = title;
  document.getElementById('sure-detail').textContent = detail;
  document.getElementById('sure-yes').textContent = yes;
  sure.returnValue = 'no';
  sure.showModal();
  return new Promise((resolve) => {
    sure.addEventListener('close', () => resolve(sure.returnValue === 'yes'), { once: true });
  });
}

/** Sends it, and says what came of it. The answer, or null when it failed. */
async function act(method, path, body, done) {
  const options = body ? { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } } : { method };
  try {
    const answer = await request(path, options);
    if (!answer.ok) throw await problemOf(answer);
    const told = await answer.json();
    messages.replaceChildren(notice('', done(told), ''));
    return told;
  } catch (error) {
    messages.replaceChildren(notice('bad', 'That did not work', error.message));
    return null;
  }
}

export async function retryRender(render) {
  if (!await confirmed('Render it again?', `${render.kind} ${render.target_id} as ${render.executor}, as it is now.`, 'Render again')) return;
  await act('POST', `/api/v1/ops/renders/${encodeURIComponent(render.id)}/retry`, null, (told) => `It is asked for again: ${told.status}.`);
}

/** Whether it was to be: what is shown of it may be old then, also when it came too late. */
export async function cancelRender(item) {
  if (!await confirmed('Cancel this render?', `${item.what} as ${item.executor}. Whoever waits for it is told that it was cancelled.`, 'Cancel the render')) return false;
  await act('POST', `/api/v1/ops/renders/${encodeURIComponent(item.id)}/cancel`, null, (told) => (told.ended ? 'It is cancelled.' : 'A renderer that has it in hand, or takes it, ends it.'));
  return true;
}

export async function stopQuery(query) {
  if (!await confirmed('Stop this query?', `Query ${query.id} of ${query.username || 'the operator'} on ${query.database}.`, 'Stop it')) return;
  await act('POST', `/api/v1/ops/queries/${query.id}/stop`, null, (told) => (told.state === 'stopped' ? 'It is stopped.' : 'Its worker is told to stop it.'));
}

export async function purge(queue) {
  if (!await confirmed(`Remove what waits in ${queue.name}?`, `${queue.ready} messages are removed for good. Pictures that were asked for stay pending until their deadline.`, 'Purge')) return;
  await act('DELETE', `/api/v1/ops/queues/${queue.name}/messages`, null, (told) => `${told.removed} messages were removed.`);
}

export async function stopRun(run) {
  if (!await confirmed('Stop this warm-up?', `What ${run.strategy} has not warmed yet is skipped.`, 'Stop it')) return;
  await act('POST', `/api/v1/warmup/runs/${run.id}/stop`, null, () => 'It is stopped.');
}

export async function runSchedule(schedule) {
  if (!await confirmed(`Run ${schedule.name} now?`, `${schedule.strategy} warms at once, beside its due times.`, 'Run now')) return;
  await act('POST', `/api/v1/schedules/${encodeURIComponent(schedule.name)}/run`, null, () => `${schedule.name} was started.`);
}

export async function pauseSchedule(schedule) {
  if (!await confirmed(`Pause ${schedule.name}?`, 'It does not fire until it is resumed; what is due meanwhile is not made up for.', 'Pause')) return;
  await act('PUT', `/api/v1/schedules/${encodeURIComponent(schedule.name)}/pause`, null, () => `${schedule.name} is paused.`);
}

export function resumeSchedule(schedule) {
  return act('DELETE', `/api/v1/schedules/${encodeURIComponent(schedule.name)}/pause`, null, () => `${schedule.name} fires again.`);
}

async function replay(queue, ids) {
  const what = ids ? 'this message' : 'all that can be replayed';
  if (!await confirmed('Replay dead letters?', `${what} goes to the workers again, with a deadline of its own.`, 'Replay')) return;
  const told = await act('POST', `/api/v1/ops/queues/${queue}/dead_letters/replay`, ids ? { ids } : { all: true },
    ({ replayed, not_replayable: left }) => `${replayed.length} replayed${left.length ? `, ${left.length} cannot be` : ''}.`);
  if (told) showLetters(queue);
}

async function drop(queue, id) {
  const what = id === 'all' ? 'All dead letters' : 'This dead letter';
  if (!await confirmed('Remove dead letters?', `${what} of ${queue} will be gone for good.`, 'Remove')) return;
  const told = await act('DELETE', `/api/v1/ops/queues/${queue}/dead_letters/${encodeURIComponent(id)}`, null, ({ removed }) => `${removed} removed.`);
  if (told) showLetters(queue);
}

function letterOf(queue, letter) {
  const { target: of } = letter.payload;
  const target = of ? `${String(of.kind ?? '').replace('TARGET_KIND_', '').toLowerCase()} ${of.id ?? ''}` : letter.actor || 'no message of ours';
  return h('article', { class: 'letter' },
    h('p', {}, h('span', { class: 'badge bad' }, letter.code), ` ${target}`, letter.payload.executor ? ` as ${letter.payload.executor}` : '', ' ',
      h('span', { class: 'muted' }, letter.published_at ? ago(dateOf(letter.published_at)) : '')),
    h('p', {}, letter.reason), letter.remedy ? h('p', { class: 'fine' }, letter.remedy) : null,
    h('details', {}, h('summary', {}, 'Message ', h('code', {}, letter.id)), h('pre', { class: 'console' }, JSON.stringify(letter.payload, null, 1))),
    h('div', { class: 'row-actions' }, letter.replayable ? button('Replay', () => replay(queue, [letter.id])) : null, button('Remove', () => drop(queue, letter.id), 'danger')));
}

const MOST_LETTERS = 200; // that the gateway tells of
let shown = null; // the queue whose letters are open, and how many there are

export async function showLetters(queue) {
  try {
    const { result } = await getJson(`/api/v1/ops/queues/${queue}/dead_letters`);
    shown = { queue, count: result.length };
    const close = button('Close', () => {
      shown = null;
      letters.replaceChildren();
    });
    const all = result.length ? [button('Replay all', () => replay(queue)), button('Remove all', () => drop(queue, 'all'), 'danger')] : [];
    letters.replaceChildren(h('div', { class: 'letters' },
      h('div', { class: 'section-head' }, h('h3', {}, `Dead letters of ${queue}`), h('div', { class: 'row-actions' }, ...all, close)),
      ...(result.length ? result.map((letter) => letterOf(queue, letter)) : [h('p', { class: 'fine' }, 'There are none.')])));
  } catch (error) {
    messages.replaceChildren(notice('bad', 'The dead letters cannot be shown', error.message));
  }
}

/** Open letters stay true: what was replayed may die again at once. */
export function followLetters(queues) {
  const queue = queues.find(({ name }) => name === shown?.queue);
  if (queue && queue.dead_letters !== shown.count && shown.count < MOST_LETTERS) showLetters(queue.name);
}
