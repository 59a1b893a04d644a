// Sets every equation of a page: pymdownx.arithmatex leaves them as \(...\) and \[...\].
document.querySelectorAll(".arithmatex").forEach((element) => {
  const source = element.textContent.trim();
  katex.render(source.slice(2, -2), element, {
    displayMode: source.startsWith("\\["),
    throwOnError: false,
  });
});
