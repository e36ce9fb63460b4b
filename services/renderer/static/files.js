// Notes, from a page's first moment, which of the files that make it up (scripts, styles, fonts) its own server could not give just
// now. A page may not know itself: the script that would tell may be the one that is missing. Asked by services/renderer/readiness.py,
// together with readiness.js. What a script fetches (data) is the page's own to judge; what is missing for good (404) is its author's.
(() => {
  "use strict";
  if (window !== window.top) return;

  const FILES = new Set(["script", "link", "css", "other"]); // who asked: modules that others import count as "other"
  const unserved = new Map(); // URL → status; 0: no answer. A later answer to the same URL counts.
  const isPassing = (status) => status === 0 || status === 429 || status >= 500;
  const note = (entries) => {
    for (const { initiatorType, name, responseStatus } of entries) {
      if (!FILES.has(initiatorType) || !name.startsWith(`${location.origin}/`)) continue;
      if (isPassing(responseStatus)) unserved.set(name, responseStatus);
      else unserved.delete(name);
    }
  };
  const observer = new PerformanceObserver((list) => note(list.getEntries()));
  observer.observe({ type: "resource", buffered: true });

  Object.defineProperty(window, "__vitrine_unserved__", {
    value: () => {
      note(observer.takeRecords());
      return [...unserved];
    },
    enumerable: false,
  });
})();
