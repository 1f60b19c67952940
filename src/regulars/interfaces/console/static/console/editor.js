// The code of a rule in colours, by Ace. Without this script the field itself is the editor.
(() => {
  const place = document.querySelector("[data-code]");
  const field = place?.querySelector("textarea");
  if (!field || !window.ace) return;

  ace.config.set("useStrictCSP", true); // its styles come as files
  const theme = document.documentElement.dataset.theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = place.querySelector("label");
  const box = document.createElement("div");
  box.className = "editor";
  field.before(box);
  const editor = ace.edit(box, {
    useWorker: false, // before the mode, which would start one; the server reports what does not compile
    mode: `ace/mode/${place.dataset.code}`,
    theme: dark ? "ace/theme/github_dark" : "ace/theme/github_light_default",
    value: field.value,
    useSoftTabs: true,
    tabSize: place.dataset.code === "python" ? 4 : 2,
    minLines: 18,
    maxLines: 40,
    showPrintMargin: false,
    enableKeyboardAccessibility: true, // Enter begins, Escape leaves; Tab passes by
    textInputAriaLabel: label.textContent,
  });
  editor.session.on("change", () => { field.value = editor.getValue(); });
  label.addEventListener("click", () => editor.focus());
  field.required = false; // a hidden input cannot be pointed at; the server reports the error
  field.hidden = true;
})();
