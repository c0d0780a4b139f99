import { browserSupportsWebAuthn, startAuthentication, startRegistration } from "@simplewebauthn/browser";

const STEPS = { register: startRegistration, "sign-in": startAuthentication };

if (browserSupportsWebAuthn()) document.querySelectorAll("form[data-passkey]").forEach(offer);

/** Let `form` be sent with what the device has signed; whoever breaks off finds the form as it was. */
function offer(form) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button, [type=submit]");
    const note = form.querySelector("[data-passkey-note]");
    button.disabled = true;
    note.hidden = true;
    try {
      const optionsJSON = await asked(form);
      form.elements.credential.value = JSON.stringify(await STEPS[form.dataset.passkey]({ optionsJSON }));
      form.submit();
    } catch {
      note.hidden = false;
      button.disabled = false;
    }
  });
}

/** What the server wants to have signed. */
async function asked(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { "X-CSRF-Token": form.elements._csrf_token.value },
    redirect: "error",
  });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}
