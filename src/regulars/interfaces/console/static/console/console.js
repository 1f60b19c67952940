// Small things a page can live without: the rest of the console is plain links and forms.

// A select or checkbox marked so sends its form at once; without this script the form's own button does.
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-sends]")) event.target.form.requestSubmit();
});

// How much of an input's length is used, shown under it. Without this script the number is the one it was loaded with.
document.addEventListener("input", (event) => {
  const counter = document.getElementById(event.target.dataset.counted ?? "");
  if (counter) counter.textContent = `${event.target.value.length} of ${event.target.maxLength} characters`;
});
