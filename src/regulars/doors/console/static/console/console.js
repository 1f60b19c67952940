// Small things a page can live without: the rest of the console is plain links and forms.

// A select or checkbox marked so sends its form at once; without this script the form's own button does.
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-sends]")) event.target.form.requestSubmit();
});
