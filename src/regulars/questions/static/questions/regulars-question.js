// <regulars-question>: the next question for the customer who is signed in to your app. One file, no build, strict CSP.
// Set `element.token`, a function that gives an access token; docs/developer/questions-in-your-app.md has the rest.
(() => {
  const home = new URL(document.currentScript.src).origin;

  // The texts of question and buttons come from the server, in one language. Only this cannot: there was no answer.
  const WORDS = { lost: "That did not arrive. Check your connection and try again." };

  // Not a <style>: adopted sheets need no exception in the page's policy.
  const STYLE = new CSSStyleSheet();
  STYLE.replaceSync(`
    :host { display: block; max-width: 30rem; color: var(--regulars-text, inherit); font: var(--regulars-font, 1rem/1.5 system-ui, sans-serif); }
    :host([hidden]) { display: none; }
    * { box-sizing: border-box; }
    fieldset { margin: 0 0 1rem; padding: 0; border: 0; min-width: 0; }
    legend, h2 { margin: 0 0 .75rem; padding: 0; font-size: 1.25em; font-weight: 600; line-height: 1.3; }
    h2 label { font: inherit; }
    p { margin: 0 0 .75rem; overflow-wrap: anywhere; }
    .option { display: flex; align-items: center; gap: .75rem; min-height: 2.75rem; cursor: pointer; }
    .option input { flex: none; width: 1.25rem; height: 1.25rem; margin: 0; accent-color: var(--regulars-accent, #4338ca); }
    .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .75rem; }
    .cards .option { flex-wrap: wrap; padding: .5rem; border: 1px solid var(--regulars-border, #64748b); border-radius: var(--regulars-radius, 8px); }
    .cards img { flex: 0 0 100%; max-width: 100%; height: auto; border-radius: var(--regulars-radius, 8px); }
    .text, select { width: 100%; min-height: 2.75rem; margin-bottom: 1rem; padding: .5rem .75rem; border: 1px solid var(--regulars-border, #64748b); border-radius: var(--regulars-radius, 8px); background: var(--regulars-surface, Field); color: var(--regulars-text, FieldText); font: inherit; }
    [aria-invalid="true"] { outline: 2px solid var(--regulars-problem, #b42318); outline-offset: 1px; }
    .answer-buttons { display: grid; gap: .5rem; margin-top: 1rem; }
    .choices { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
    .choices > :last-child:nth-child(odd) { grid-column: 1 / -1; }
    button { min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--regulars-accent, #4338ca); border-radius: var(--regulars-radius, 8px); background: var(--regulars-accent, #4338ca); color: var(--regulars-on-accent, #fff); font: inherit; font-weight: 600; cursor: pointer; overflow-wrap: anywhere; }
    button.other { border-color: var(--regulars-border, #64748b); background: transparent; color: var(--regulars-text, inherit); }
    button.never { justify-self: center; border: 0; background: transparent; color: var(--regulars-text, inherit); font-size: .875em; font-weight: 400; text-decoration: underline; text-underline-offset: 3px; }
    button[disabled] { opacity: .6; cursor: progress; }
    :focus-visible { outline: 3px solid var(--regulars-accent, #4338ca); outline-offset: 2px; }
    [role="alert"]:not(:empty) { padding: .75rem; border: 2px solid var(--regulars-problem, #b42318); border-radius: var(--regulars-radius, 8px); }
    [role="alert"]:empty { margin: 0; }
  `);

  function make(name, properties = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.startsWith("aria-") || key === "inputmode" || key === "autocomplete") element.setAttribute(key, value);
      else element[key] = value;
    }
    element.append(...children);
    return element;
  }

  class RegularsQuestion extends HTMLElement {
    words = {};
    token = null; // () => string or a promise of one

    connectedCallback() {
      if (this.shadowRoot) return;
      this.attachShadow({ mode: "open" }).adoptedStyleSheets = [STYLE];
      this.hidden = true; // nothing to say yet, and perhaps nothing at all
      if (this.token) this.ask();
    }

    get say() { return { ...WORDS, ...this.words }; }
    get locale() { return this.getAttribute("locale") ?? this.closest("[lang]")?.lang ?? ""; }

    // Called by itself when `token` is there before the element is put on the page; else call it once the customer is signed in.
    async ask() {
      const { ok, reply } = await this.post("", { locale: this.locale });
      if (!ok || !reply.question) return this.end(ok ? reply.reason : reply.errorCode ?? "lost");
      this.question = reply.question;
      this.draw();
      this.hidden = false;
      this.notify("shown", reply.reason);
    }

    draw() {
      const { question } = this, form = make("form", { noValidate: true });
      form.append(this.problem(), ...this.asking(), this.reasons(), this.buttons());
      form.addEventListener("submit", (event) => { event.preventDefault(); this.answer(form, event.submitter); });
      // Set on what we draw, so that a page in another direction keeps its own.
      const whole = make("section", { lang: question.locale, dir: question.direction }, form);
      whole.setAttribute("aria-label", question.text);
      this.shadowRoot.replaceChildren(whole);
    }

    asking() {
      const { question } = this, { field } = question;
      if (question.offered) return [this.group(question.text, this.confirming())];
      if (field.widget === "consent") return [make("h2", { textContent: question.text }), ...this.hints()];
      if (field.widget === "input" || field.widget === "select") {
        const label = make("label", { htmlFor: "answer-1", textContent: question.text });
        return [make("h2", {}, label), ...this.hints(), this.written("answer", "answer-1")];
      }
      return [this.group(question.text, [...this.hints(), this.choices("answer", true)])];
    }

    group(text, children) {
      return make("fieldset", { "aria-describedby": "why" }, make("legend", { textContent: text }), ...children);
    }

    hints() {
      const words = [this.question.help, this.question.field.hint].filter(Boolean).join(" ");
      return words ? [make("p", { id: "hint", textContent: words })] : [];
    }

    confirming() {
      const { words, field } = this.question;
      const other = field.widget === "input" || field.widget === "select"
        ? this.written("other", "other-1", this.question.text) : this.choices("other", false);
      return [this.option("answer", "answer-1", "radio", "__yes", words.yes),
        this.option("answer", "answer-2", "radio", "__no", words.no), other];
    }

    choices(name, withUnsaid) {
      const { field, unsaid } = this.question;
      const kind = field.widget === "checkbox" ? "checkbox" : "radio";
      const options = field.options.map((each, index) =>
        this.option(name, `${name}-${index + 1}`, kind, each.key, each.label, each.image));
      const none = withUnsaid ? unsaid.map((each, index) => this.option(name, `unsaid-${index}`, "radio", each.key, each.label)) : [];
      return make("div", {}, make("div", { className: field.widget === "cards" ? "cards" : "" }, ...options), ...none);
    }

    option(name, id, type, value, text, image = "") {
      const picture = image ? [make("img", { src: new URL(image, home).href, alt: "", width: 160, height: 160 })] : [];
      return make("label", { className: "option", htmlFor: id },
        make("input", { id, name, type, value }), ...picture, make("span", { textContent: text }));
    }

    written(name, id, label = "") {
      const { field } = this.question, described = this.hints().length ? "why hint" : "why";
      const shared = { id, name, autocomplete: field.autocomplete, "aria-describedby": described, ...(label ? { "aria-label": label } : {}) };
      if (field.widget === "select") {
        const options = field.options.map((each) => make("option", { value: each.key, textContent: each.label }));
        return make("select", shared, make("option", { value: "", textContent: "–" }), ...options);
      }
      const input = make("input", { ...shared, className: "text", type: field.input_type, inputmode: field.inputmode });
      if (field.max_length) input.maxLength = field.max_length;
      return input;
    }

    reasons() {
      const { question } = this;
      return make("div", { id: "why" },
        make("p", {}, make("strong", { textContent: question.words.why }), ` ${question.why}`),
        make("p", { textContent: [question.use.label, question.use.text, question.use.recipients].filter(Boolean).join(" ") }));
    }

    // Answering and "not now" are of one size, because "no" must take no more effort than "yes". "Never" is a quiet link.
    buttons() {
      const { words, field, unsaid, offered } = this.question;
      const consent = field.widget === "consent" && !offered;
      const yes = consent
        ? field.options.map((each) => make("button", { type: "submit", value: each.key, textContent: each.label }))
        : [make("button", { type: "submit", textContent: words.save })];
      const beside = field.widget === "input" || field.widget === "select" ? unsaid : [];
      const others = beside.map((each) =>
        make("button", { type: "submit", className: "other", value: each.key, textContent: each.label }));
      const never = this.button(words.never, () => this.close("never"));
      never.className = "never";
      return make("div", { className: "answer-buttons" },
        make("div", { className: "choices" }, ...yes, this.button(words.pass, () => this.close("pass"))),
        ...(others.length ? [make("div", { className: "choices" }, ...others)] : []),
        never);
    }

    async answer(form, submitter) {
      const data = new FormData(form), given = submitter?.value ? [submitter.value] : data.getAll("answer");
      const body = { answer: given.filter(Boolean), other: data.getAll("other").filter(Boolean), notice: this.question.use.notice };
      await this.send("answer", body, data);
    }

    // What the customer read is not what an answer would mean now: show the new words, and keep what was typed.
    async showAgain(message, typed) {
      await this.ask();
      for (const each of this.shadowRoot.querySelectorAll("input, select")) {
        const values = typed.getAll(each.name);
        if (each.type === "radio" || each.type === "checkbox") each.checked = values.includes(each.value);
        else if (values.length) each.value = values[0];
      }
      if (!this.hidden) this.fail(message);
    }

    close(verb) { return this.send(verb, {}); }

    async send(verb, body, typed = null) {
      this.busy(true);
      const { ok, reply } = await this.post(`/${this.question.id}/${verb}`, body);
      this.busy(false);
      if (ok) return this.thank(reply);
      if (reply.errorCode === "closed" || reply.errorCode === "reworded") return this.end(reply.errorCode);
      if (reply.errorCode === "notice_changed" && typed) return this.showAgain(reply.message, typed);
      this.fail(reply.message ?? this.say.lost);
    }

    // The page keeps its place: the focused element was removed, so the message takes the focus.
    thank({ outcome, thanks }) {
      const line = make("p", { role: "status", tabIndex: -1, textContent: thanks });
      const { locale, direction } = this.question;
      this.shadowRoot.replaceChildren(make("section", { lang: locale, dir: direction }, line));
      line.focus();
      this.notify(outcome, "asked");
    }

    end(reason) {
      this.hidden = true;
      this.shadowRoot.replaceChildren();
      this.notify("none", reason);
    }

    notify(outcome, reason) {
      const detail = { outcome, reason, question: this.question?.key ?? null };
      this.dispatchEvent(new CustomEvent("regulars-question", { detail, bubbles: true }));
    }

    async post(path, body) {
      try {
        const token = await this.token();
        const answer = await fetch(`${home}/api/me/question${path}`, {
          method: "POST",
          headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
          credentials: "omit",
          body: JSON.stringify(body),
        });
        return { ok: answer.ok, reply: await answer.json() };
      } catch {
        return { ok: false, reply: {} };
      }
    }

    problem() { return make("p", { role: "alert", id: "problem" }); }

    fail(text) {
      this.shadowRoot.getElementById("problem").textContent = text;
      const fields = [...this.shadowRoot.querySelectorAll("input, select")];
      for (const each of fields) {
        each.setAttribute("aria-invalid", "true");
        each.setAttribute("aria-describedby", "problem why");
      }
      (fields[0] ?? this.shadowRoot.querySelector("button")).focus();
    }

    busy(is) { for (const button of this.shadowRoot.querySelectorAll("button")) button.disabled = is; }

    button(text, act) {
      const button = make("button", { type: "button", textContent: text });
      button.addEventListener("click", act);
      return button;
    }
  }

  customElements.define("regulars-question", RegularsQuestion);
})();
