/** The code of a scanned address stands in its fragment, which is sent to nobody: it is put into the form. */
const form = document.querySelector("[data-pair]");
const code = decodeURIComponent(location.hash.slice(1));
if (form && code) {
  form.elements.code.value = code;
  history.replaceState(null, "", location.pathname);
}

// The code is good once: a second tap would be refused.
form?.addEventListener("submit", () => (form.querySelector("button").disabled = true));
