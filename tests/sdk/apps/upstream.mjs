// A third-party OpenID Provider (npm oidc-provider) as a connection, over plain http on this machine.
import { createServer } from "node:http";
import { task } from "./serve.mjs";
const { default: Provider } = await import("oidc-provider");

const provider = new Provider(task.origin, {
  clients: [
    {
      client_id: "regulars",
      client_secret: "upstream-secret",
      redirect_uris: task.more,
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "given_name", "family_name"], email: ["email", "email_verified"] },
  cookies: { keys: ["upstream"] },
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({
      sub,
      name: "Emre Yildiz",
      given_name: "Emre",
      family_name: "Yildiz",
      email: `${sub}@upstream.example`,
      email_verified: true,
    }),
  }),
});

createServer(provider.callback()).listen(Number(new URL(task.origin).port), "127.0.0.1", () => console.log("ready"));
