// Listens for nothing that never happens: the pixel ratio of this browser stays as it is. Chromium keeps whoever waits for
// a media query to change, with all they hold, for as long as the page lives; deck.gl waits so with each map, and
// Superset's pages show one map after the other (docs/adr/0041). Installed before a page's own scripts.
(() => {
  "use strict";
  const PIXELS = /^\([^()]*(resolution|device-pixel-ratio)[^()]*\)$/; // a query about nothing else
  const queries = MediaQueryList.prototype;
  const listen = EventTarget.prototype.addEventListener;
  queries.addEventListener = function addEventListener() {
    if (!PIXELS.test(this.media)) return listen.apply(this, arguments);
  };
  const listenAsOfOld = queries.addListener;
  queries.addListener = function addListener() {
    if (!PIXELS.test(this.media)) return listenAsOfOld.apply(this, arguments);
  };
})();
