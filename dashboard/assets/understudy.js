// What must happen in the browser: keep the address in step with the controls, switch the look, notice a dead session.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.understudy = {
  keepAddress: function () {
    const inputs = dash_clientside.callback_context.inputs_list[0] || [];
    const query = new URLSearchParams();
    inputs.forEach(function (input) {
      const value = input.value;
      if (value === undefined || value === null || value === "" || (Array.isArray(value) && !value.length)) return;
      query.set(input.id.view, Array.isArray(value) ? value.join("|") : String(value));
    });
    const text = query.toString();
    const wanted = window.location.pathname + (text ? "?" + text : "");
    if (inputs.length && wanted !== window.location.pathname + window.location.search) {
      window.history.replaceState(window.history.state, "", wanted);
    }
    return text;
  },
  title: function () {
    window.requestAnimationFrame(function () {
      const heading = document.querySelector("#page h1");
      document.title = heading ? heading.textContent + " – Understudy" : "Understudy";
    });
    return dash_clientside.no_update;
  },
  switchLook: function (clicks) {
    if (!clicks) return dash_clientside.no_update;
    const dark = document.cookie.split("; ").indexOf("look=dark") >= 0;
    document.cookie = "look=" + (dark ? "light" : "dark") + "; path=/; max-age=31536000; SameSite=Strict";
    window.location.reload();
    return clicks;
  },
  toggleMenu: function (opened, path, navbar) {
    const byMenu = dash_clientside.callback_context.triggered.some(function (one) {
      return one.prop_id.indexOf("burger") === 0;
    });
    const next = Object.assign({}, navbar);
    next.collapsed = { mobile: !(byMenu && opened) };
    return next;
  }
};

(function () {
  // A session that ended answers 401: go to the sign-in page and come back here afterwards.
  const original = window.fetch;
  window.fetch = function () {
    return original.apply(this, arguments).then(function (response) {
      if (response.status === 401 && response.url.indexOf("/_dash") >= 0) {
        window.location.assign("/signin?next=" + encodeURIComponent(window.location.pathname));
      }
      return response;
    });
  };
})();
