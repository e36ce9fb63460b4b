// The dashboard's tabs: arrow keys, Home and End, as the ARIA pattern asks.
import { h } from './dom.js';

/** Makes the buttons of a tab list answer to arrow keys; choose(button) is called for each choice. */
export function keyboardTabs(list, choose) {
  const buttons = () => [...list.querySelectorAll('[role=tab]')];
  list.addEventListener('click', (event) => {
    const button = event.target.closest('[role=tab]');
    if (button) choose(button);
  });
  list.addEventListener('keydown', (event) => {
    const all = buttons();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.focus();
    choose(next);
  });
}

export function selectTab(list, id) {
  for (const button of list.querySelectorAll('[role=tab]')) {
    const selected = button.id === id;
    button.setAttribute('aria-selected', String(selected));
    button.tabIndex = selected ? 0 : -1;
  }
}

/** Fills the tab list; nothing is shown for a dashboard without tabs. */
export function buildTabs(list, panel, tabs, choose) {
  if (tabs.length < 2 && tabs[0]?.id === '') return;
  list.hidden = false;
  list.replaceChildren(...tabs.map((tab) => h('button', { type: 'button', role: 'tab', id: `tab-${tab.id}`, 'aria-controls': panel.id },
    tab.title || tab.id)));
  panel.setAttribute('role', 'tabpanel');
  keyboardTabs(list, (button) => choose(tabs.find((tab) => `tab-${tab.id}` === button.id)));
}
