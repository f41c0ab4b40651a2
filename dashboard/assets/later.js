// Large scripts that the first screen does without: fetched when the browser is idle, run when something needs them.
(function () {
  const h = React.createElement;
  const asked = {};

  function address(name) {
    const found = document.querySelector('meta[name="later-' + name + '"]');
    return found ? found.content : null;
  }

  function run(name) {
    asked[name] = asked[name] || new Promise(function (done, failed) {
      const script = document.createElement("script");
      script.src = address(name);
      script.onload = done;
      script.onerror = function () { failed(new Error(name + " cannot be loaded; reload the page")); };
      document.head.appendChild(script);
    });
    return asked[name];
  }

  // A component of a library whose script comes with the first one that is drawn.
  function later(name, library, part) {
    const Real = React.lazy(function () {
      return run(name).then(function () { return { default: window[library][part] }; });
    });
    function Later(props) {
      return h(React.Suspense, { fallback: h("div", { className: "later" }) }, h(Real, props));
    }
    Later.dashRenderType = true;
    return Later;
  }

  if (address("tables")) window.dash_ag_grid = { AgGrid: later("tables", "dash_ag_grid", "AgGrid") };

  function fetchAhead() {
    ["tables", "charts"].filter(address).forEach(function (name) {
      const link = document.createElement("link");
      link.rel = "prefetch";
      link.as = "script";
      link.href = address(name);
      document.head.appendChild(link);
    });
  }

  // Some seconds later, so that nothing is taken from the first screen.
  window.addEventListener("load", function () {
    const idle = window.requestIdleCallback || function (act) { act(); };
    window.setTimeout(function () { idle(fetchAhead); }, 4000);
  });
})();
