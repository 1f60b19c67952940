// npm oidc-provider, in memory: one app, one customer whose session and grant last, tokens as ours (RS256, both JWTs).
// Their /me wants access tokens that are not for an API, and those are never JWTs: "opaque" makes such ones.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, clientId, clientSecret, callback, accessTokens] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: "benchmark" };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      token_endpoint_auth_method: "client_secret_post",
      redirect_uris: [callback],
      grant_types: ["authorization_code", "client_credentials"],
      response_types: ["code"],
    },
  ],
  jwks: { keys: [key] },
  cookies: { keys: ["benchmark"] },
  claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
  conformIdTokenClaims: false,
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: "Chika Okafor", email: "chika@example.com" }),
  }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: accessTokens === "jwt",
      defaultResource: () => `${issuer}/api`,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: "read:orders", accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
});

// Signs the one customer in and grants what is asked, so that every later request finds a session and a grant.
async function interaction(request, response) {
  const details = await provider.interactionDetails(request, response);
  const accountId = details.session?.accountId ?? "chika";
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope("openid profile email");
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const handle = provider.callback();
createServer((request, response) => {
  if (request.url.startsWith("/interaction/")) {
    interaction(request, response).catch((fault) => response.writeHead(500).end(String(fault.stack)));
  } else {
    handle(request, response);
  }
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
