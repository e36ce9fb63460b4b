// One live thumbnail: asks the gateway for it, waits while it is rendered, refreshes it on demand.
// It keeps the last good picture through every failure. It only asks while someone can see the card.
import { gate, postJson, Problem, problemOf, request } from './api.js';
import { dateOf } from './times.js';

const asking = gate(6);
const FIRST_WAIT_S = 2;
const LONGEST_WAIT_S = 10;
const REFRESH_TIMEOUT_S = 300;

/** Seconds to wait: what Retry-After says, but longer the more often we have asked in vain. */
function waitOf(retryAfter, turns) {
  const asked = Number(retryAfter);
  const backoff = Math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 1.5 ** turns);
  return Math.max(Number.isFinite(asked) && asked > 0 ? asked : FIRST_WAIT_S, backoff);
}

export class Picture {
  // waiting: not asked yet · none: no address · pending · ready · stale · error · unavailable · signed-out
  state = 'waiting';
  word = '';
  reason = '';
  source = null;
  renderedAt = null;
  refreshing = false;

  #seen = false;
  #due = 0;
  #timer = 0;
  #turns = 0;
  #busy = false;
  #since = null;
  #deadline = 0;

  constructor({ url, refreshUrl, onchange }) {
    this.url = url;
    this.refreshUrl = refreshUrl;
    this.onchange = onchange;
    if (!url) this.state = 'none';
    document.addEventListener('visibilitychange', () => this.#arm());
  }

  /** Whether the card is in or near the window. */
  setSeen(seen) {
    this.#seen = seen;
    this.#arm();
  }

  /** Has the picture rendered anew; the old one stays until the new one is here. */
  async refresh() {
    if (this.refreshing) return;
    this.#since = this.renderedAt;
    this.#turns = 0;
    this.#set({ refreshing: true, reason: '', ...(this.source ? {} : { state: 'pending', word: 'Pending' }) });
    try {
      const response = await postJson(this.refreshUrl, { force: true });
      if (!response.ok) throw await problemOf(response);
      const body = await response.json();
      if (body.task_status === 'Error') throw new Problem(200, body.code, body.reason ?? 'The renderer reported an error.');
      this.#adopt(body.image_url);
      this.#deadline = dateOf(body.deadline)?.getTime() ?? Date.now() + 1000 * (body.task_timeout_seconds ?? REFRESH_TIMEOUT_S);
      this.#later(waitOf(response.headers.get('Retry-After'), 0));
    } catch (error) {
      this.#fail(error);
    }
  }

  #set(changes) {
    Object.assign(this, changes);
    this.onchange(this);
  }

  #adopt(address) {
    if (!address) return;
    const url = new URL(address, location.origin);
    if (url.pathname.includes('/thumbnail/')) this.url = url.pathname + url.search;
  }

  #later(seconds) {
    this.#due = Date.now() + 1000 * seconds;
    this.#arm();
  }

  #arm() {
    clearTimeout(this.#timer);
    if (!this.url || this.#busy || this.#due === null || !this.#seen || document.hidden) return;
    this.#timer = setTimeout(() => this.#ask(), Math.max(0, this.#due - Date.now()));
  }

  async #ask() {
    this.#busy = true;
    this.#due = null;
    try {
      await (this.source && (this.refreshing || this.state === 'stale') ? this.#askStatus() : this.#askPicture());
    } catch (error) {
      this.#fail(error);
    }
    this.#turns += 1;
    this.#busy = false;
    this.#arm();
  }

  async #askPicture() {
    // Later turns go past the browser's cache: its copy may still carry the old headers.
    const cache = this.#turns === 0 && !this.refreshing ? 'no-cache' : 'reload';
    const response = await asking(() => request(this.url, { cache, headers: { Accept: 'image/*, application/json' } }));
    await this.#take(response);
  }

  /** While an old picture is shown: how far is the new one? The picture itself is fetched when it is there. */
  async #askStatus() {
    const response = await asking(() => request(this.refreshUrl, { cache: 'no-store' }));
    if (!response.ok) throw Object.assign(await problemOf(response), { retryAfter: response.headers.get('Retry-After') });
    const body = await response.json();
    const renderedAt = dateOf(body.rendered_at);
    if (body.task_status === 'Error') throw new Problem(200, body.code, body.reason || 'The last rendering failed.');
    if (renderedAt > this.renderedAt || (!this.refreshing && body.stale === false)) {
      this.#adopt(body.image_url);
      await this.#askPicture();
    } else if (this.refreshing && Date.now() > this.#deadline) {
      throw new Problem(0, 'late', 'The refresh did not finish in time.');
    } else this.#later(waitOf(response.headers.get('Retry-After'), this.#turns));
  }

  async #take(response) {
    const type = response.headers.get('Content-Type') ?? '';
    if (response.redirected) this.#adopt(response.url);
    if (response.status === 200 && type.startsWith('image/')) await this.#takeImage(response);
    else if (response.status === 202) this.#takeStatus(await response.json(), response.headers.get('Retry-After'));
    else if (response.status === 401 || (response.redirected && type.startsWith('text/html'))) this.#set({ state: 'signed-out', refreshing: false, reason: 'Your session has ended.' });
    else throw Object.assign(await problemOf(response), { retryAfter: response.headers.get('Retry-After') });
  }

  async #takeImage(response) {
    const { headers } = response;
    const renderedAt = dateOf(headers.get('X-Vitrine-Rendered-At'));
    const stale = headers.get('X-Vitrine-Stale') === '1';
    const isNew = this.#since === null ? !stale : renderedAt !== null && renderedAt > this.#since;
    const blob = await response.blob();
    const changes = { source: URL.createObjectURL(blob), renderedAt, state: stale ? 'stale' : 'ready', word: '', reason: '' };
    if (this.source) URL.revokeObjectURL(this.source);
    if (this.refreshing && isNew) changes.refreshing = false;
    this.#set(changes);
    if (this.refreshing || stale) this.#later(waitOf(headers.get('Retry-After'), this.#turns));
  }

  #takeStatus(body, retryAfter) {
    if (body.task_status === 'Error') throw new Problem(200, body.code, body.reason ?? 'The renderer reported an error.');
    this.#set({ state: this.source ? this.state : 'pending', word: body.task_status ?? 'Pending', reason: '' });
    this.#later(waitOf(retryAfter, this.#turns));
  }

  /** A refusal for now is asked again; any other failure waits for the reader. */
  #fail(error) {
    const passing = error.status === 503 || error.status === 429 || (error.status === 0 && error.code === 'unreachable');
    const changes = { reason: passing ? 'Rendering is unavailable just now.' : error.message, refreshing: false };
    if (!this.source) changes.state = passing ? 'unavailable' : 'error';
    this.#set(changes);
    if (passing) this.#later(waitOf(error.retryAfter, Math.max(this.#turns, 2)));
  }
}
