// Rules are dragged into their order, by SortableJS. Without this script the buttons beside each do it.
(() => {
  const list = document.querySelector("[data-sorted]");
  if (!list || !window.Sortable) return;

  for (const handle of list.querySelectorAll(".handle")) handle.hidden = false;
  Sortable.create(list, {
    handle: ".handle",
    animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 120,
    onEnd: ({ oldIndex, newIndex }) => {
      if (oldIndex !== newIndex) document.getElementById(list.dataset.sorted).requestSubmit(); // the rows' order is the form's
    },
  });
})();
