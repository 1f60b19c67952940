// Disables the buttons of a form while it is being sent, so that a second click sends nothing.
"use strict";
(() => {
  const ANSWERED = 10000; // milliseconds after which the page is still here: the answer was a file, or was lost
  const buttons = (form) => [...form.elements].filter((each) => each.type === "submit");

  function release(form) {
    delete form.dataset.sending;
    for (const button of buttons(form)) button.disabled = false;
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method === "dialog") return;
    if (form.dataset.sending) return event.preventDefault();
    form.dataset.sending = "yes";
    // After the event, because a disabled button's own value is not sent.
    setTimeout(() => buttons(form).forEach((button) => { button.disabled = true; }));
    setTimeout(release, ANSWERED, form);
  });

  // A page that comes back from the browser's history is as it was left.
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form[data-sending]").forEach(release);
  });
})();
