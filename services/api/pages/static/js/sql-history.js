// The list of somebody's own queries, newest first; what changes meanwhile is told by the live channel.
import { h } from './dom.js';
import { history } from './sql-queries.js';
import { ago, exact } from './times.js';

const PAGE = 30;
const AGE_MS = 30_000;

export const WORDS = {
  pending: 'Waiting', scheduled: 'Waiting', running: 'Running', fetching: 'Fetching', success: 'Done', failed: 'Failed',
  stopped: 'Stopped', timed_out: 'Took too long',
};

export function count(rows) {
  return rows === null || rows === undefined ? '' : `${rows.toLocaleString('en')} ${rows === 1 ? 'row' : 'rows'}`;
}

export function lasting(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export class History {
  constructor(username, list, more, onopen) {
    Object.assign(this, { username, list, more, onopen, pages: 0, entries: new Map(), chosen: null });
    more.addEventListener('click', () => this.load());
    setInterval(() => { if (!document.hidden) this.#draw(); }, AGE_MS);
  }

  async load() {
    const { count: all, result } = await history(this.username, this.pages, PAGE);
    this.pages += 1;
    for (const query of result) if (!this.entries.has(query.client_id)) this.entries.set(query.client_id, query);
    this.more.hidden = result.length === 0 || this.pages * PAGE >= all;
    this.#draw();
  }

  /** A query that is new, or is in another state. */
  put(query) {
    if (query.user.username !== this.username) return;
    this.entries.set(query.client_id, query);
    this.#draw();
  }

  choose(clientId) {
    this.chosen = clientId;
    this.#draw();
  }

  #draw() {
    const newest = [...this.entries.values()].sort((one, other) => other.start_time - one.start_time);
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.query : null;
    this.list.replaceChildren(...newest.map((query) => this.#entry(query)));
    if (!newest.length) this.list.append(h('li', { class: 'fine' }, 'Queries that you run are listed here.'));
    if (focused) this.list.querySelector(`[data-query="${CSS.escape(focused)}"]`)?.focus();
  }

  #entry(query) {
    const started = new Date(query.start_time);
    const facts = [query.database?.database_name, query.status === 'success' ? count(query.rows) : WORDS[query.status] ?? query.status, ago(started)];
    return h('li', {}, h('button', {
      type: 'button', class: 'past', 'data-query': query.client_id, 'data-state': query.status, title: exact(started),
      'aria-current': query.client_id === this.chosen ? 'true' : null, onclick: () => this.onopen(query),
    }, h('code', {}, query.sql.trim().replaceAll(/\s+/g, ' ').slice(0, 160)), h('span', {}, facts.filter(Boolean).join(' · '))));
  }
}
