// Pages that poll with htmx: tells changes to screen readers, says when the server is out of reach, and loads the whole
// page anew when the answer is not the part that was asked for (signed out meanwhile, or the annotation was deleted).
(() => {
  "use strict";
  const announcer = document.getElementById("announcer");
  const offline = document.getElementById("offline");
  const sentences = () =>
    new Map([...document.querySelectorAll("[data-announce]")].map((element) => [element.id, element.dataset.announce]));
  let told = sentences();

  function announceChanges() {
    const now = sentences();
    const changed = [...now].filter(([id, text]) => told.has(id) && told.get(id) !== text);
    if (changed.length) announcer.textContent = changed.map(([, text]) => text).join(". ");
    told = now;
  }

  function guardSwap(event) {
    const { xhr, pathInfo } = event.detail;
    const redirected = new URL(xhr.responseURL).pathname !== new URL(pathInfo.finalRequestPath, location.href).pathname;
    if (redirected || xhr.status === 403 || xhr.status === 404) {
      event.preventDefault();
      location.reload();
      return;
    }
    offline.hidden = xhr.status < 500;
  }

  document.body.addEventListener("htmx:beforeSwap", guardSwap);
  document.body.addEventListener("htmx:afterSettle", announceChanges);
  document.body.addEventListener("htmx:sendError", () => { offline.hidden = false; });
})();
