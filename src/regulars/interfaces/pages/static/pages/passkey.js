// Forms marked data-passkey ("get" or "create") are hidden until it has shown that
// this browser knows passkeys; every page works without.
"use strict";
(() => {
  const keys = window.PublicKeyCredential;
  if (!keys || !keys.parseRequestOptionsFromJSON) return;
  let waiting = null; // the offer below the address field, given up when a button is pressed

  async function ask(form, mediation) {
    waiting?.abort();
    waiting = new AbortController();
    const { signal } = waiting;
    const token = form.elements.csrfmiddlewaretoken.value;
    const answer = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRFToken": token }, signal });
    if (!answer.ok) throw new Error(`options: ${answer.status}`);
    const options = await answer.json();
    const made = form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: keys.parseCreationOptionsFromJSON(options), signal })
      : await navigator.credentials.get({ publicKey: keys.parseRequestOptionsFromJSON(options), mediation, signal });
    form.elements.credential.value = JSON.stringify(made.toJSON());
    form.submit();
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = form.querySelector("[data-problem]");
      problem.hidden = true;
      try {
        await ask(form, "optional");
      } catch {
        problem.hidden = false;
      }
    });
    if (form.hasAttribute("data-conditional")) {
      keys.isConditionalMediationAvailable?.().then((can) => can && ask(form, "conditional")).catch(() => {});
    }
  }
})();
