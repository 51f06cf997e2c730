// Sends the console's forms as JSON, with what a passkey signs where a form asks for it. Every value that
// is signed stands in the page; nothing is computed or shown here.
"use strict";

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const MINUTES = 60_000;

async function assertion(form, button) {
  const ids = (form.dataset.credentials ?? "").split(" ").filter(Boolean);
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge: decode(button.dataset.challenge ?? form.dataset.challenge),
      rpId: form.dataset.rpId,
      allowCredentials: ids.map((id) => ({ type: "public-key", id: decode(id) })),
      userVerification: "required",
      timeout: 2 * MINUTES,
    },
  });
  return {
    credential_id: encode(credential.rawId),
    client_data_json: encode(credential.response.clientDataJSON),
    authenticator_data: encode(credential.response.authenticatorData),
    signature: encode(credential.response.signature),
  };
}

async function registration(form) {
  const name = form.dataset.trustDomain;
  const credential = await navigator.credentials.create({
    publicKey: {
      challenge: decode(form.dataset.challenge),
      rp: { id: form.dataset.rpId, name: `Chancery ${name}` },
      user: { id: decode(form.dataset.user), name, displayName: name },
      pubKeyCredParams: [-7, -8].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
      timeout: 2 * MINUTES,
    },
  });
  return {
    credential_id: encode(credential.rawId),
    client_data_json: encode(credential.response.clientDataJSON),
    authenticator_data: encode(credential.response.getAuthenticatorData()),
  };
}

async function documentOf(form, button) {
  const sent = Object.fromEntries(new FormData(form));
  if (button?.dataset.statement) {
    sent.statement = JSON.parse(button.dataset.statement);
  }
  if (button?.dataset.kind) {
    sent.what = { kind: button.dataset.kind, id: button.dataset.id };
  }
  if (form.dataset.ceremony === "get") {
    sent.assertion = await assertion(form, button);
  }
  if (form.dataset.ceremony === "create") {
    // A passkey that nobody waits for would stay in the authenticator.
    await post(`${form.action}/code`, { code: sent.code });
    sent.registration = await registration(form);
  }
  return sent;
}

async function post(to, document) {
  const response = await fetch(to, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(document),
  });
  if (!response.ok) {
    const { message, reason, remedy } = await response.json();
    throw new Error(`${message} (${reason})${remedy ? `: ${remedy}` : ""}`);
  }
  return response;
}

async function send(form, button) {
  const response = await post(form.action, await documentOf(form, button));
  location.assign((await response.json()).to);
}

for (const form of document.querySelectorAll("form[data-ceremony]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const alert = form.querySelector("[role=alert]");
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    if (alert) alert.textContent = "";
    try {
      await send(form, event.submitter);
    } catch (error) {
      if (alert) alert.textContent = error.message;
      for (const button of buttons) button.disabled = false;
    }
  });
}
