// The gallery: dashboards and charts as cards with live pictures.
import './header.js';
import { getJson, signIn } from './api.js';
import { keyboardTabs, selectTab } from './tabs.js';
import { h, notice } from './dom.js';
import { Card } from './card.js';
import { sayPage } from './readiness.js';

const PAGE = 100;
const [list, status, search, messages] = ['cards', 'status', 'search', 'notice'].map((id) => document.getElementById(id));
const tabs = document.querySelector('[role=tablist]');
const sections = {
  dashboards: { kind: 'dashboard', cards: [], list: h('ul', { class: 'cards' }) },
  charts: { kind: 'chart', cards: [], list: h('ul', { class: 'cards' }) },
};
let shown = sections.dashboards;

function entryOf(kind, raw) {
  return {
    ...raw, kind,
    title: raw.dashboard_title ?? raw.slice_name ?? raw.title ?? `${kind} ${raw.id}`,
    url: raw.url?.startsWith('/') && !raw.url.startsWith('//') ? raw.url : `/${kind}/${raw.id}/`,
    tags: (raw.tags ?? []).map((tag) => tag.name ?? String(tag)),
    owners: raw.owners ?? [],
  };
}

async function entriesOf(kind) {
  const entries = [];
  for (let page = 0; ; page += 1) {
    const { count, result } = await getJson(`/api/v1/${kind}/?page=${page}&page_size=${PAGE}`);
    entries.push(...result.map((raw) => entryOf(kind, raw)));
    if (result.length === 0 || entries.length >= count) return entries;
  }
}

const near = new IntersectionObserver((changes) => {
  for (const change of changes) change.target.card.picture.setSeen(change.isIntersecting);
}, { rootMargin: '400px 0px' });

/** One sentence on the pictures of the section, said at most twice a second. */
let saying = 0;
function summarise() {
  clearTimeout(saying);
  saying = setTimeout(() => {
    const states = shown.cards.map((card) => card.picture.state);
    const count = (...wanted) => states.filter((state) => wanted.includes(state)).length;
    const parts = [[count('pending'), 'being rendered'], [count('stale'), 'stale'], [count('error'), 'failed'],
      [count('unavailable'), 'unavailable'], [count('waiting'), 'not looked at yet']];
    const rest = parts.filter(([n]) => n > 0).map(([n, words]) => `${n} ${words}`);
    const noun = states.length === 1 ? 'picture is' : 'pictures are';
    status.textContent = states.length === 0 ? '' : [`${count('ready')} of ${states.length} ${noun} fresh`, ...rest].join(' · ');
  }, 500);
}

function applySearch() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of Object.values(sections)) {
    let here = 0;
    for (const card of section.cards) {
      card.element.hidden = !words.every((word) => card.text.includes(word));
      if (!card.element.hidden) here += 1;
    }
    section.found = here;
    if (section === shown) found = here;
  }
  for (const [name, section] of Object.entries(sections)) {
    document.querySelector(`#tab-${name} .count`).textContent = String(words.length ? section.found : section.cards.length);
  }
  messages.replaceChildren(...(found > 0 ? [] : [emptyNotice(words.length > 0)]));
}

function emptyNotice(searching) {
  const noun = shown.kind === 'chart' ? 'charts' : 'dashboards';
  return searching
    ? notice('', `No ${noun} match`, 'Titles and tags are searched.', h('button', { type: 'button', onclick: () => find('') }, 'Clear the search'))
    : notice('', `No ${noun} yet`, 'Load a catalog with: vitrine catalog load FILE');
}

function find(text) {
  search.value = text;
  applySearch();
}

function choose(name) {
  shown = sections[name] ?? sections.dashboards;
  selectTab(tabs, `tab-${name}`);
  list.setAttribute('aria-labelledby', `tab-${name}`);
  list.replaceChildren(shown.list);
  history.replaceState(null, '', name === 'dashboards' ? location.pathname : `#${name}`);
  applySearch();
  summarise();
}

function fill(section, entries) {
  section.cards = entries.map((entry) => new Card(entry, { onchange: summarise, ontag: find }));
  section.list.replaceChildren(...section.cards.map((card) => card.element));
  for (const card of section.cards) {
    card.element.card = card;
    near.observe(card.element);
  }
}

async function load() {
  messages.replaceChildren();
  try {
    const [dashboards, charts] = await Promise.all([entriesOf('dashboard'), entriesOf('chart')]);
    fill(sections.dashboards, dashboards);
    fill(sections.charts, charts);
    choose(location.hash === '#charts' ? 'charts' : 'dashboards');
    sayPage('laid-out');
  } catch (error) {
    if (error.status === 401) {
      signIn();
      return;
    }
    status.textContent = '';
    messages.replaceChildren(notice('bad', 'The catalog could not be loaded', error.message, h('button', { type: 'button', onclick: load }, 'Try again')));
    sayPage('failed', `${error.code ?? 'script-failed'}: ${error.message}`);
  }
}

keyboardTabs(tabs, (button) => choose(button.id.replace('tab-', '')));
search.addEventListener('input', applySearch);
addEventListener('hashchange', () => choose(location.hash === '#charts' ? 'charts' : 'dashboards'));
setInterval(() => {
  if (!document.hidden) for (const card of shown.cards) card.showAge();
}, 60_000);
load();
