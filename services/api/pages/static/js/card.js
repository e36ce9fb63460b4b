// One card of the gallery: a live picture with its title, age, state and Refresh button.
import { ago, dateOf, exact } from './times.js';
import { h, icon } from './dom.js';
import { Picture } from './picture.js';
import { signIn } from './api.js';

const NOT_RENDERED = { waiting: 'not looked at yet', pending: 'being rendered', error: 'could not be rendered', unavailable: 'waiting for the renderer', none: 'no picture' };

export class Card {
  /** entry: {kind: 'dashboard'|'chart', id, title, url, thumbnail_url, tags, owners, changed_on_utc, description} */
  constructor(entry, { onchange, ontag }) {
    this.entry = entry;
    this.text = [entry.title, ...entry.tags].join('\n').toLowerCase();
    this.image = h('img', { alt: '', hidden: true, width: 800, height: 600, decoding: 'async' });
    this.cover = h('div', { class: 'cover' });
    this.badge = h('span', { class: 'badge', hidden: true }, 'stale');
    this.age = h('span', { class: 'age' });
    this.spinner = h('span', { class: 'spinner', hidden: true, role: 'img', 'aria-label': 'Rendering a new picture' });
    this.problem = h('p', { class: 'card-problem', hidden: true });
    this.button = h('button', { type: 'button', class: 'quiet tool', 'aria-label': `Refresh the picture of ${entry.title}`, title: 'Refresh',
      onclick: () => this.picture.refresh() }, icon('refresh'));
    this.element = h('li', { class: 'card', 'data-kind': entry.kind, 'data-id': entry.id }, this.#shot(), this.#text(ontag));
    this.picture = new Picture({ url: entry.thumbnail_url, refreshUrl: `/api/v1/${entry.kind}/${entry.id}/thumbnail/`,
      onchange: () => { this.show(); onchange(); } });
    this.show();
  }

  #shot() {
    return h('div', { class: 'shot' },
      h('a', { href: this.entry.url, tabindex: -1, 'aria-hidden': 'true' }, this.image), this.cover, this.badge, this.spinner);
  }

  #text(ontag) {
    const { title, url, description, tags, owners, changed_on_utc: changed } = this.entry;
    const date = dateOf(changed);
    const people = owners.map((owner) => owner.name || owner.username).join(', ');
    return h('div', { class: 'card-text' },
      h('h2', {}, h('a', { href: url, title: description || null }, title)), this.button,
      this.problem,
      h('p', { class: 'fine' }, this.age),
      h('p', { class: 'fine' }, people, people && date ? ' · ' : '',
        date ? h('time', { datetime: date.toISOString(), title: `Changed ${exact(date)}` }, `changed ${ago(date)}`) : null),
      tags.length ? h('p', { class: 'tags' }, tags.map((tag) => h('button', { type: 'button', class: 'tag', onclick: () => ontag(tag) }, tag))) : null);
  }

  #coverContent() {
    const { state, word, reason } = this.picture;
    if (this.picture.source) return [];
    if (state === 'pending') return [h('div', { class: 'shimmer' }), h('p', { class: 'status-word' }, word)];
    const button = (label, act) => h('button', { type: 'button', onclick: act }, label);
    const message = (text, ...actions) => [h('div', { class: 'cover-text' }, h('p', {}, text), ...actions)];
    if (state === 'error') return message(reason, button('Try again', () => this.picture.refresh()));
    if (state === 'unavailable') return message(reason);
    if (state === 'signed-out') return message(reason, button('Sign in', signIn));
    if (state === 'none') return message('No picture yet');
    return [];
  }

  /** Shows what the picture says of itself. */
  show() {
    const { state, source, renderedAt, refreshing, reason } = this.picture;
    this.element.dataset.state = state;
    this.element.toggleAttribute('data-refreshing', refreshing);
    if (source && this.image.getAttribute('src') !== source) {
      this.image.src = source;
      this.image.alt = `Picture of ${this.entry.title}`;
      this.image.hidden = false;
    }
    this.cover.hidden = source !== null;
    this.cover.replaceChildren(...this.#coverContent());
    this.badge.hidden = state !== 'stale';
    this.spinner.hidden = !(refreshing && source);
    this.button.setAttribute('aria-disabled', String(refreshing));
    this.problem.hidden = !(source && reason);
    this.problem.textContent = reason;
    this.showAge();
    if (renderedAt) this.age.title = `Rendered ${exact(renderedAt)}`;
  }

  showAge() {
    const { renderedAt, state } = this.picture;
    this.age.textContent = renderedAt ? `rendered ${ago(renderedAt)}` : NOT_RENDERED[state] ?? '';
  }
}
