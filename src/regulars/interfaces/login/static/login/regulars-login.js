// <regulars-login client-id="…">: a sign-in form for a page of your own. One file, no build, strict CSP.
// It proves who the customer is and hands your SDK what to send to /authorize; docs/developer/login-component.md has the rest.
(() => {
  const home = new URL(document.currentScript.src).origin;

  const WORDS = {
    heading: "Sign in",
    with: (name) => `Continue with ${name}`,
    or: "or with your e-mail",
    email: "E-mail",
    password: "Password",
    signIn: "Sign in",
    code: "Code from the mail",
    sendCode: "Get a code by e-mail",
    codeSent: "A mail with six digits is on its way. They work for ten minutes.",
    back: "Sign in another way",
    signUp: "Sign up",
    reset: "Forgot your password?",
    passkey: "Sign in with a passkey",
    notConfirmed: "Your device did not confirm it. Try again, or take another way.",
    more: "Other ways to sign in",
    closed: "This app may not show a sign-in form here.",
    lost: "That did not arrive. Check your connection and try again.",
    missing: "Write your e-mail first.",
  };

  // Not a <style>: adopted sheets need no exception in the page's policy.
  const STYLE = new CSSStyleSheet();
  STYLE.replaceSync(`
    :host { display: block; max-width: 24rem; color: var(--regulars-text, inherit); font: var(--regulars-font, 1rem/1.5 system-ui, sans-serif); }
    * { box-sizing: border-box; }
    h2 { margin: 0 0 1rem; font-size: 1.5em; line-height: 1.3; }
    p { margin: 0 0 1rem; }
    label { display: block; margin-bottom: .25rem; font-weight: 600; }
    input { width: 100%; min-height: 2.75rem; margin-bottom: 1rem; padding: .5rem .75rem; border: 1px solid var(--regulars-border, #64748b); border-radius: var(--regulars-radius, 8px); background: var(--regulars-surface, Field); color: var(--regulars-text, FieldText); font: inherit; }
    input[aria-invalid="true"] { border: 2px solid var(--regulars-problem, #b42318); }
    button { display: block; width: 100%; min-height: 2.75rem; margin-bottom: .5rem; padding: .5rem 1rem; border: 1px solid transparent; border-radius: var(--regulars-radius, 8px); background: var(--regulars-accent, #4338ca); color: var(--regulars-on-accent, #fff); font: inherit; font-weight: 600; cursor: pointer; }
    button.way { border-color: var(--regulars-border, #64748b); background: transparent; color: inherit; }
    button.link { min-height: 2.75rem; background: none; color: inherit; font-weight: 400; text-align: left; text-decoration: underline; padding: .5rem 0; }
    button[disabled] { opacity: .6; cursor: progress; }
    :focus-visible { outline: 3px solid var(--regulars-accent, #4338ca); outline-offset: 2px; }
    [role="alert"]:not(:empty) { margin-bottom: 1rem; padding: .75rem; border: 2px solid var(--regulars-problem, #b42318); border-radius: var(--regulars-radius, 8px); }
    [role="alert"]:empty { margin: 0; }
  `);

  const keys = window.PublicKeyCredential?.parseRequestOptionsFromJSON ? window.PublicKeyCredential : null;

  function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }

  class RegularsLogin extends HTMLElement {
    words = {};

    connectedCallback() {
      if (this.shadowRoot) return;
      this.attachShadow({ mode: "open" }).adoptedStyleSheets = [STYLE];
      this.start();
    }

    disconnectedCallback() { this.waiting?.abort(); }

    get texts() { return { ...WORDS, ...this.words }; }
    get clientId() { return this.getAttribute("client-id") ?? ""; }

    async start() {
      try {
        const answer = await fetch(`${home}/client/${encodeURIComponent(this.clientId)}.json`);
        if (!answer.ok) return this.draw(this.problem(this.texts.closed));
        const { strategies, passkeys } = await answer.json();
        this.passkeyHost = passkeys.rp_id;
        this.methods = strategies.flatMap((strategy) =>
          strategy.connections.map((connection) => ({ strategy: strategy.name, ...connection })));
        this.drawMethods();
      } catch {
        this.draw(this.problem(this.texts.lost));
      }
    }

    drawMethods(email = "") {
      const has = (strategy) => this.methods.some((method) => method.strategy === strategy);
      const social = this.methods.filter((method) => !["auth0", "email"].includes(method.strategy));
      const own = has("auth0") || has("email");
      this.draw(
        make("h2", { textContent: this.texts.heading }),
        ...social.map((method) => this.button(this.texts.with(method.display_name), "way", () => this.goOn({ connection: method.name }))),
        ...(social.length && own ? [make("p", { textContent: this.texts.or })] : []),
        this.problem(),
        ...(own ? [this.ownForm(email, has("auth0"), has("email"))] : []),
        ...(keys ? [this.button(this.texts.passkey, "way", () => this.usePasskey())] : []),
        ...(has("auth0") ? [this.button(this.texts.signUp, "link", () => this.goOn({ screen_hint: "signup" }))] : []),
        ...(has("auth0") ? [this.button(this.texts.reset, "link", () => this.reset())] : []),
        this.button(this.texts.more, "link", () => this.goOn({})),
      );
      if (own) this.offerPasskey();
    }

    ownForm(email, password, code) {
      const form = make("form", { noValidate: true });
      form.append(...this.field("email", this.texts.email, { type: "email", autocomplete: "username webauthn", value: email }));
      if (password) {
        form.append(...this.field("password", this.texts.password, { type: "password", autocomplete: "current-password" }));
        form.append(make("button", { textContent: this.texts.signIn }));
      }
      if (code) {
        form.append(this.button(this.texts.sendCode, password ? "way" : "", () => this.sendCode(form.elements.email.value)));
      }
      this.onSubmit(form, () => password
        ? this.prove("http://auth0.com/oauth/grant-type/password-realm", "Username-Password-Authentication",
          { username: form.elements.email.value, password: form.elements.password.value })
        : this.sendCode(form.elements.email.value));
      return form;
    }

    // Passkeys belong to the host of our Regulars. Elsewhere only browsers that ask it about this page will look for them.
    async mayAskForPasskeys() {
      const here = location.hostname;
      if (here === this.passkeyHost || here.endsWith(`.${this.passkeyHost}`)) return true;
      return Boolean((await keys.getClientCapabilities?.())?.relatedOrigins);
    }

    // Offer passkeys among the addresses that the browser knows; no problem is shown to a customer who ignores the offer.
    async offerPasskey() {
      try {
        if (!(await keys?.isConditionalMediationAvailable?.()) || !(await this.mayAskForPasskeys())) return;
        const signed = await this.askPasskey("conditional", null);
        if (signed) await this.provePasskey(signed);
      } catch { /* the button shows what is wrong */ }
    }

    async usePasskey() {
      if (!(await this.mayAskForPasskeys())) return this.goOn({});
      try {
        const signed = await this.askPasskey("optional", this.showProblem);
        if (signed) await this.provePasskey(signed);
      } catch (fault) {
        // A browser that does not let this page ask: the hosted page may.
        if (fault.name === "SecurityError") this.goOn({});
        else if (fault.name !== "AbortError") this.showProblem(this.texts.notConfirmed);
      }
    }

    async askPasskey(mediation, show) {
      this.waiting?.abort(); // one question at a time: a button ends the offer
      const { signal } = this.waiting = new AbortController();
      const asked = await this.challenge(show);
      if (!asked || signal.aborted) return null;
      const publicKey = keys.parseRequestOptionsFromJSON(asked.authn_params_public_key);
      const key = await navigator.credentials.get({ publicKey, mediation, signal });
      return { auth_session: asked.auth_session, authn_response: key.toJSON() };
    }

    // A browser that withholds our cookie even the second time cannot use a signature: only the hosted page can.
    async challenge(show) {
      const first = await this.post("/passkey/challenge", {}, show);
      const asked = first && !first.remembered ? await this.post("/passkey/challenge", {}, show) : first;
      if (asked && !asked.remembered) throw new DOMException("Cookies of other sites are blocked.", "SecurityError");
      return asked;
    }

    provePasskey(signed) {
      return this.prove("urn:okta:params:oauth:grant-type:webauthn", "Username-Password-Authentication", signed, this.showProblem);
    }

    async sendCode(email) {
      if (!email) return this.fail(this.texts.missing);
      const sent = await this.post("/passwordless/start", { connection: "email", email, send: "code" });
      if (sent) this.drawCode(email);
    }

    drawCode(email) {
      const form = make("form", { noValidate: true });
      form.append(...this.field("code", this.texts.code, { inputMode: "numeric", autocomplete: "one-time-code", maxLength: 6 }));
      form.append(make("button", { textContent: this.texts.signIn }));
      this.onSubmit(form, () => this.prove("http://auth0.com/oauth/grant-type/passwordless/otp", "email",
        { username: email, otp: form.elements.code.value }));
      this.draw(
        make("h2", { textContent: this.texts.heading }),
        make("p", { textContent: this.texts.codeSent, role: "status" }),
        this.problem(),
        form,
        this.button(this.texts.back, "link", () => this.drawMethods(email)),
      );
      form.elements.code.focus();
    }

    async prove(credential_type, realm, credentials, show) {
      const answer = await this.post("/co/authenticate", { credential_type, realm, ...credentials }, show);
      if (answer) this.goOn({ login_ticket: answer.login_ticket });
    }

    reset() {
      const email = this.shadowRoot.querySelector("[name=email]").value;
      location.assign(`${home}/password/reset?${new URLSearchParams({ login_hint: email })}`);
    }

    // The page's SDK takes it from here: `sdk.loginWithRedirect(event.detail)`.
    goOn(authorizationParams) {
      this.dispatchEvent(new CustomEvent("regulars-login", { detail: { authorizationParams }, bubbles: true }));
    }

    // `show` displays what went wrong. Without it the customer asked for nothing, so nothing is shown or disabled.
    async post(path, body, show = this.fail) {
      if (show) this.busy(true);
      try {
        const answer = await fetch(home + path, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          credentials: "include",
          body: JSON.stringify({ client_id: this.clientId, ...body }),
        });
        const result = await answer.json();
        if (answer.ok) return result;
        show?.call(this, result.description);
      } catch {
        show?.call(this, this.texts.lost);
      } finally {
        if (show) this.busy(false);
      }
    }

    draw(...children) { this.shadowRoot.replaceChildren(...children); }

    problem(text = "") { return make("p", { role: "alert", id: "problem", textContent: text }); }

    showProblem(text) { this.shadowRoot.getElementById("problem").textContent = text; }

    fail(text) {
      this.showProblem(text);
      for (const input of this.shadowRoot.querySelectorAll("input")) {
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-describedby", "problem");
      }
      this.shadowRoot.querySelector("input")?.focus();
    }

    busy(is) { for (const button of this.shadowRoot.querySelectorAll("button")) button.disabled = is; }

    field(name, label, properties) {
      return [make("label", { htmlFor: name, textContent: label }), make("input", { id: name, name, required: true, ...properties })];
    }

    button(text, kind, act) {
      const button = make("button", { type: "button", textContent: text, className: kind });
      button.addEventListener("click", act);
      return button;
    }

    onSubmit(form, act) {
      form.addEventListener("submit", (event) => { event.preventDefault(); act(); });
    }
  }

  customElements.define("regulars-login", RegularsLogin);
})();
