import htmx from "htmx.org";

Object.assign(htmx.config, {
  // A strict content security policy allows neither eval nor inline styles.
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  // A snapshot of a page would outlive the session that saw it: going back asks the server again.
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  // What was asked wrongly is answered by the same part, saying so.
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "400|422", swap: true },
    { code: "...", swap: false, error: true },
  ],
});

// Anything else that fails is asked for as a whole page, which tells what is wrong and what can be done.
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
  document.addEventListener(failure, ({ detail }) => location.assign(detail.pathInfo.finalRequestPath));
