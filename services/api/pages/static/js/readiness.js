// What the page says about itself, to the renderer and to the tests. It must be true:
//   <html data-vitrine="loading|laid-out|failed" data-vitrine-reason="…">
//   <section class="chart-holder" data-state="pending|drawn|empty|failed" data-reason="…">

const root = document.documentElement;

/** The code of failures that pass: the gateway or its database is away, not the chart wrong. The renderer tries again. */
export const UNAVAILABLE = 'unavailable';

/** A failure with a short code for machines and a sentence for people. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'Failure';
    this.code = code;
  }
}

/** "code: sentence" of any thrown thing. */
export function reasonOf(error) {
  return `${error.code ?? 'draw-failed'}: ${error.message ?? error}`.slice(0, 500);
}

export function sayPage(state, reason = '') {
  if (root.dataset.vitrineReason.startsWith(UNAVAILABLE)) return; // boot.js: a file did not load
  root.dataset.vitrineReason = reason;
  root.dataset.vitrine = state;
}

export function sayHolder(section, state, reason = '') {
  section.dataset.reason = reason;
  section.dataset.state = state;
  section.setAttribute('aria-busy', String(state === 'pending'));
}

/** Resolves after `count` animation frames, that is: after what was drawn before has been painted. */
export async function frames(count = 2) {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => { requestAnimationFrame(resolve); });
}

/** Loads the font files that `text` needs, so that no canvas is drawn with a substitute. */
export async function fontsFor(text) {
  const others = [...new Set(text.match(/[^\x00-\x7f]/g) ?? [])].join('');
  try {
    await Promise.all(['400', '600'].map((weight) => document.fonts.load(`${weight} 12px Inter`, `Aa${others}`)));
  } catch {
    throw new Failure(UNAVAILABLE, 'The font of its words did not load.');
  }
  await document.fonts.ready;
}
