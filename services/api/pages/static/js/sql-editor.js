// The SQL editor: CodeMirror in a shadow root, where its styles need no exception from the page's policy.
import * as cm from '../vendor/codemirror-6.43.15.js';
import { h } from './dom.js';

const DIALECTS = { sqlite: cm.SQLite, postgresql: cm.PostgreSQL, duckdb: cm.PostgreSQL, mysql: cm.MySQL };

const look = cm.EditorView.theme({
  '&': { height: '100%', color: 'var(--text)', backgroundColor: 'var(--surface)', fontSize: '14px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'ui-monospace, "Cascadia Code", "DejaVu Sans Mono", Menlo, Consolas, monospace', lineHeight: '1.6' },
  '.cm-content': { caretColor: 'var(--text)', padding: '10px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--muted)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--sunken) 55%, transparent)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--accent-soft)' },
  '.cm-selectionMatch, &.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--sunken)', outline: '1px solid var(--line)' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '.cm-tooltip, .cm-panels': { backgroundColor: 'var(--surface)', color: 'var(--text)', border: '1px solid var(--line)', borderRadius: '8px' },
  '.cm-tooltip': { boxShadow: 'var(--shadow-high)', overflow: 'hidden' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad) 1.5px', textUnderlineOffset: '3px', backgroundColor: 'var(--bad-soft)' },
  '.cm-lintPoint-error::after': { borderBottomColor: 'var(--bad)' },
});

const colours = cm.HighlightStyle.define([
  { tag: cm.tags.keyword, color: 'var(--accent)', fontWeight: '600' },
  { tag: [cm.tags.string, cm.tags.special(cm.tags.string)], color: 'var(--good)' },
  { tag: [cm.tags.number, cm.tags.bool, cm.tags.null], color: 'var(--warn)' },
  { tag: cm.tags.comment, color: 'var(--muted)', fontStyle: 'italic' },
  { tag: cm.tags.typeName, color: 'var(--accent)' },
]);

/** onrun: Ctrl+Enter or ⌘+Enter; onchange: after each change of the text. */
export class Editor {
  constructor(place, { onrun, onchange }) {
    const root = place.attachShadow({ mode: 'open' });
    const box = h('div', { part: 'box' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(':host, div[part=box] { display: block; height: 100%; }');
    root.adoptedStyleSheets = [sheet];
    root.append(box);
    this.language = new cm.Compartment();
    const run = () => { onrun(); return true; };
    this.view = new cm.EditorView({
      parent: box,
      root,
      state: cm.EditorState.create({
        extensions: [
          cm.Prec.highest(cm.keymap.of([{ key: 'Mod-Enter', run }, { key: 'Ctrl-Enter', run }])),
          cm.lineNumbers(), cm.highlightActiveLine(), cm.highlightActiveLineGutter(), cm.highlightSelectionMatches(),
          cm.history(), cm.drawSelection(), cm.indentOnInput(), cm.bracketMatching(), cm.closeBrackets(), cm.autocompletion(),
          cm.keymap.of([...cm.closeBracketsKeymap, ...cm.defaultKeymap, ...cm.searchKeymap, ...cm.historyKeymap, ...cm.completionKeymap, ...cm.lintKeymap]),
          cm.syntaxHighlighting(colours), look, cm.EditorView.lineWrapping,
          cm.placeholder('SELECT …'),
          cm.EditorView.contentAttributes.of({ 'aria-label': 'SQL' }),
          cm.EditorView.updateListener.of((update) => { if (update.docChanged) onchange(); }),
          this.language.of(cm.sql({ dialect: cm.StandardSQL })),
        ],
      }),
    });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  set text(text) {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text }, selection: { anchor: 0 } });
    this.mark(null);
  }

  /** What is to run: the selection if there is one, else everything; `offset` is where it begins. */
  get chosen() {
    const { from, to, empty } = this.view.state.selection.main;
    const text = empty ? '' : this.view.state.sliceDoc(from, to);
    return text.trim() ? { text, offset: from } : { text: this.text, offset: 0 };
  }

  /** tables: {table: [column, …]} of the schema where names without one lie. */
  speak(backend, tables) {
    const dialect = DIALECTS[backend] ?? cm.StandardSQL;
    this.view.dispatch({ effects: this.language.reconfigure(cm.sql({ dialect, schema: tables })) });
  }

  /** Shows an error at its place, {from, to, message}, or none; offsets count characters of Unicode. */
  mark(error) {
    const { state } = this.view;
    const marks = [];
    if (error) {
      const text = state.doc.toString();
      const from = Math.min(units(text, error.from), text.length);
      const to = Math.min(Math.max(units(text, error.to), from), text.length);
      marks.push({ from, to, severity: 'error', message: error.message });
    }
    this.view.dispatch(cm.setDiagnostics(state, marks));
    if (error) this.view.dispatch({ selection: { anchor: marks[0].from }, effects: cm.EditorView.scrollIntoView(marks[0].from, { y: 'center' }) });
  }

  focus() {
    this.view.focus();
  }
}

/** JavaScript's offset of the character of that number: what lies beyond the first 65,536 counts twice here. */
function units(text, characters) {
  let offset = 0;
  for (let left = characters; left > 0 && offset < text.length; left -= 1) offset += text.codePointAt(offset) > 0xffff ? 2 : 1;
  return offset;
}

/** The number of characters before JavaScript's offset. */
export function characters(text, offset) {
  return [...text.slice(0, offset)].length;
}
