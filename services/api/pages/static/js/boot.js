// Runs before everything else: a bundle, style or font that does not load, or a script that fails while the page is
// being built, makes the page say `failed` with a reason instead of staying `loading` for ever or looking wrong.
(() => {
  'use strict';
  const root = document.documentElement;
  const fail = (reason) => {
    root.dataset.vitrineReason = reason.slice(0, 500);
    root.dataset.vitrine = 'failed';
  };
  addEventListener('error', (event) => {
    const source = event.target;
    if (source instanceof HTMLScriptElement) fail(`unavailable: ${source.src} did not load`);
    else if (source instanceof HTMLLinkElement && source.rel === 'stylesheet') fail(`unavailable: ${source.href} did not load`);
    else if (root.dataset.vitrine === 'loading' && event.error) fail(`script-failed: ${event.message}`);
  }, true);
  document.fonts.addEventListener('loadingerror', ({ fontfaces: [font] }) => {
    fail(`unavailable: the font ${font.family} did not load`);
  });
  addEventListener('unhandledrejection', (event) => {
    if (root.dataset.vitrine === 'loading') fail(`script-failed: ${event.reason?.message ?? event.reason}`);
  });
})();
