const show = (what) => { document.querySelector("pre").textContent = JSON.stringify(what); };
const form = document.querySelector("regulars-login");
form.setAttribute("client-id", config.clients.component.client_id);
document.body.append(Object.assign(document.createElement("script"), { src: `https://${config.domain}/static/login/regulars-login.js` }));

(async () => {
  const client = new auth0.Auth0Client({
    domain: config.domain,
    clientId: config.clients.component.client_id,
    authorizationParams: { redirect_uri: `${location.origin}/component.html` },
  });
  form.addEventListener("regulars-login", (event) => client.loginWithRedirect(event.detail));
  if (location.search.includes("state=")) {
    form.remove(); // after the sign-in, because a form that stays would offer the passkey again
    await client.handleRedirectCallback();
    show({ user: await client.getUser() });
  }
})().catch((fault) => show({ error: String(fault) }));
