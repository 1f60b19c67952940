// A web app with openid-client, as its README writes it: code with PKCE, state and nonce, refresh, userinfo, logout.
import { sayJson, serve, task } from "./serve.mjs";
const client = await import("openid-client");

const { client_id: clientId, client_secret: clientSecret } = task.clients["openid-client"];
const machine = task.clients.machine;
const config = await client.discovery(new URL(task.issuer), clientId, clientSecret);
const callback = `${task.origin}/callback`;
let login; // of the one person who uses this app
let idToken;

async function start(response) {
  login = { verifier: client.randomPKCECodeVerifier(), state: client.randomState(), nonce: client.randomNonce() };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: "openid profile email offline_access",
    audience: machine.audience,
    code_challenge: await client.calculatePKCECodeChallenge(login.verifier),
    code_challenge_method: "S256",
    state: login.state,
    nonce: login.nonce,
  });
  response.writeHead(302, { Location: url.href }).end();
}

async function finish(request, response) {
  const checks = { pkceCodeVerifier: login.verifier, expectedState: login.state, expectedNonce: login.nonce };
  const tokens = await client.authorizationCodeGrant(config, new URL(request.url, task.origin), checks);
  const claims = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
  idToken = tokens.id_token;
  let reused;
  try {
    await client.refreshTokenGrant(config, tokens.refresh_token);
  } catch (fault) {
    reused = fault.error;
  }
  sayJson(response, { claims, userinfo, scope: tokens.scope, renewed: renewed.claims().sub, reused });
}

async function asMachine(response) {
  const own = await client.discovery(new URL(task.issuer), machine.client_id, machine.client_secret);
  const tokens = await client.clientCredentialsGrant(own, { audience: machine.audience, scope: "read:orders" });
  sayJson(response, { scope: tokens.scope, type: tokens.token_type, lifetime: tokens.expires_in });
}

// A machine whose tokens are bound to its key, at the Management API.
async function asBoundMachine(response) {
  const { client_id, client_secret, audience } = task.clients.management;
  const own = await client.discovery(new URL(task.issuer), client_id, client_secret);
  const DPoP = client.getDPoPHandle(own, await client.randomDPoPKeyPair());
  const tokens = await client.clientCredentialsGrant(own, { audience }, { DPoP });
  const call = async (path) => {
    const url = new URL(`api/v2/${path}`, task.issuer);
    return (await client.fetchProtectedResource(own, tokens.access_token, url, "GET", null, undefined, { DPoP })).json();
  };
  const [first] = await call("users?per_page=1&fields=user_id");
  const same = await call(`users/${encodeURIComponent(first.user_id)}?fields=user_id`);
  const authorization = `Bearer ${tokens.access_token}`;
  const stolen = await (await fetch(new URL("api/v2/users", task.issuer), { headers: { authorization } })).json();
  sayJson(response, { type: tokens.token_type, first, same, stolen: stolen.errorCode });
}

async function leave(response) {
  const parameters = { post_logout_redirect_uri: task.origin, id_token_hint: idToken };
  response.writeHead(302, { Location: client.buildEndSessionUrl(config, parameters).href }).end();
}

serve((request, response) => {
  const path = request.url.split("?")[0];
  const routes = { "/login": start, "/machine": asMachine, "/bound": asBoundMachine, "/logout": leave };
  const done = path === "/callback" ? finish(request, response) : routes[path]?.(response);
  if (!done) sayJson(response, { home: true });
  done?.catch((fault) => sayJson(response, { error: String(fault), code: fault.code }, 500));
});
