// A web app with express-openid-connect: signed in by code, with the settings of its README.
import { serve, task } from "./serve.mjs";
import express from "express";
import auth0 from "express-openid-connect";

const { client_id: clientID, client_secret: clientSecret } = task.clients.express;
const app = express();
app.use(
  auth0.auth({
    issuerBaseURL: task.issuer,
    baseURL: task.origin,
    clientID,
    clientSecret,
    secret: "a secret of this app, long enough",
    authRequired: false,
    idpLogout: true,
    authorizationParams: { response_type: "code", scope: "openid profile email offline_access" },
  }),
);
app.get("/", (request, response) => {
  response.json({ signedIn: request.oidc.isAuthenticated(), user: request.oidc.user });
});
app.get("/refresh", async (request, response) => {
  const { token_type: type, expires_in: lifetime } = await request.oidc.accessToken.refresh();
  response.json({ type, lifetime });
});
app.use((fault, request, response, next) => response.status(500).json({ error: String(fault) }));
serve(app);
