const show = (what) => { document.querySelector("pre").textContent = JSON.stringify(what); };
const issuer = `https://${config.domain}`;
const here = `${location.origin}/questions.html`;

const load = (src) => new Promise((resolve) => {
  document.body.append(Object.assign(document.createElement("script"), { src, onload: resolve }));
});

(async () => {
  const client = new auth0.Auth0Client({
    domain: config.domain,
    clientId: config.clients.questions.client_id,
    cacheLocation: "localstorage", // the tests load the page again
    authorizationParams: { redirect_uri: here, audience: `${issuer}/api/me/`, scope: "openid email answer:questions", ask: "0" },
  });
  if (location.search.includes("state=")) {
    await client.handleRedirectCallback();
    return location.replace(here);
  }
  const user = await client.getUser();
  if (!user) return client.loginWithRedirect();
  document.documentElement.lang = localStorage.getItem("language") ?? "en";
  await load(`${issuer}/static/questions/regulars-question.js`);
  const events = [];
  const element = document.createElement("regulars-question");
  element.token = () => client.getTokenSilently();
  element.addEventListener("regulars-question", (event) => { events.push(event.detail); show({ sub: user.sub, events }); });
  document.querySelector("#place").append(element);
})().catch((fault) => show({ error: String(fault) }));
